"""The product: settings, database, the Library service, citations, CLI and HTTP."""
