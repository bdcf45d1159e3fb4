"""Adding: files and folders read into a collection, a batch in a transaction, as a job that a kill does not undo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.document_info import DocumentInfo
from app.errors import UploadTooLarge
from app.jobs.jobs import DoneFile, Job, JobRun, OnJob
from app.reports import AddReport
from app.stamp import stamp_of
from app.uploads import upload_path
from engine.events import CancelToken
from ingest import (
    Document,
    FileMissing,
    Found,
    counts,
    is_archive,
    read_all,
    read_all_bytes,
    skipped,
    source_of,
    walk,
    whole,
)

if TYPE_CHECKING:
    from app.collection import Collection

BATCH_FILES = 50
BATCH_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class _File:
    found: Found
    source: str
    stamp: str
    size: int


def check(paths: Sequence[Path]) -> None:
    """Raise FileMissing for a path that does not exist."""
    for path in paths:
        if not path.exists():
            raise FileMissing(path)


def job_of(collection: Collection, paths: Sequence[str | Path]) -> Job:
    """The job of reading these paths: one that was stopped or killed, else a new one. Raises FileMissing."""
    roots = [Path(p).expanduser().absolute() for p in paths]
    library = collection.library
    library.check_may_change()
    check(roots)
    jobs, names = library.job_table, [str(root) for root in roots]
    kept = jobs.unfinished("add", collection.name, names)
    return kept or jobs.create("add", collection.name, names, library.viewer_id)


def add(
    collection: Collection, job: Job, *, on_progress: OnJob | None = None, token: CancelToken | None = None
) -> set[str]:
    """Do the job's work, all of it or what an earlier run left; gives the paths of the documents.

    Raises Cancelled, FileMissing, JobRunning.
    """
    jobs = collection.library.job_table
    with jobs.run(job.id, token) as run:
        missed: list[Document] = []
        files = _files([Path(p) for p in job.arguments], missed)
        kept = run.start(files=len(files), size=sum(file.size for file in files))
        old = [f for f in files if f.source in kept and kept[f.source].stamp == f.stamp]
        run.resumed(files=len(old), size=sum(file.size for file in old))
        paths = {path for file in old for path in kept[file.source].paths}
        left = set(old)
        for batch in _batches([file for file in files if file not in left]):
            paths |= _carry(collection, run, batch)
            if on_progress:
                on_progress(jobs.get(job.id))
        paths |= {d.path for d in collection.shelf.put(missed)}
    return paths


def add_bytes(collection: Collection, filename: str, data: bytes) -> DocumentInfo:
    """Add an uploaded file under its path (app.uploads); of an archive the first file that was loaded is returned.

    Raises UploadTooLarge, NotAllowed.
    """
    library = collection.library
    library.check_may_change()
    limit = library.settings.max_upload_mb
    if len(data) > limit << 20:
        raise UploadTooLarge(filename, limit)
    documents = collection.shelf.put(read_all_bytes(data, upload_path(filename)))
    for document in documents:
        library.originals.put(document, data)
    made = report(collection, {d.path for d in documents})
    return (*made.loaded, *made.skipped)[0]


def report(collection: Collection, paths: set[str]) -> AddReport:
    """What became of the documents of these paths."""
    infos = [info for info in collection.shelf.infos() if info.path in paths]
    return AddReport(tuple(i for i in infos if i.status != "skipped"), tuple(i for i in infos if i.status == "skipped"))


def _files(roots: Sequence[Path], missed: list[Document]) -> list[_File]:
    found = list(walk(roots, on_skip=lambda path, reason: missed.append(skipped(path, reason))))
    stamps = [(file, stamp_of(file.path)) for file in found]
    return [
        _File(file, source_of(file.path), stamp, int(stamp.split()[1])) for file, stamp in stamps if stamp is not None
    ]


def _batches(files: Sequence[_File]) -> Iterator[list[_File]]:
    batch: list[_File] = []
    for file in files:
        batch.append(file)
        if len(batch) == BATCH_FILES or sum(f.size for f in batch) > BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def _carry(collection: Collection, run: JobRun, batch: Sequence[_File]) -> set[str]:
    """Read a batch of files and put them on the shelf; a file that has just gone is left out."""
    read: list[tuple[_File, list[Document]]] = []
    for file in batch:
        try:
            read.append((file, read_all(file.found.path, file.found.relative)))
        except FileMissing:
            read.append((file, []))
    archives = [file.source for file, _ in read if is_archive(file.found.relative)]
    kept = iter(collection.shelf.put([d for _, documents in read for d in documents], archives=archives))
    given = [(file, [next(kept) for _ in documents]) for file, documents in read]
    done = [DoneFile(file.source, file.stamp, tuple(d.path for d in documents)) for file, documents in given]
    documents = [d for _, documents in given for d in documents]
    run.step(done, size=sum(file.size for file in batch), tokens=_tokens(collection, documents))
    return {d.path for d in documents}


def _tokens(collection: Collection, documents: Sequence[Document]) -> int | None:
    """Tokens of documents by the model's tokenizer, which are kept for the first question; None without a model."""
    library = collection.library
    if not library.loaded:
        return None
    cache, encode = collection.token_cache(library.engine), library.engine.model.encode_with_offsets
    loaded = [d for d in documents if d.text]
    return sum(counts(whole(loaded), encode, fence=collection.fence, cache=cache))
