"""The operations as Triton kernels: tensor descriptors on Hopper and later, pointer loads elsewhere."""
