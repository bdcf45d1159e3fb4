"""DetectSecrets: bc-detect-secrets as a SecretScanner, with every plugin of it and without its verification.

Its plugins are asked line by line for what they see in a text; nothing is read from the disk, and the filter by which
that library asks services whether a key is live is taken out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.filters import heuristic
from detect_secrets.plugins.base import BasePlugin
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.settings import get_settings

from ingest.secrets import Secret, apart

VERIFY = "detect_secrets.filters.common.is_ignored_due_to_verification_policies"
LONGEST = 100_000
"""Characters of a line that is looked at, as in the library."""


class DetectSecrets:
    """The library's plugins over the lines of a text."""

    def __init__(self) -> None:
        self.plugins = [plugin() for plugin in get_mapping_from_secret_type_to_class().values()]
        self._keys = [plugin for plugin in self.plugins if isinstance(plugin, PrivateKeyDetector)]
        self._by_line = [plugin for plugin in self.plugins if not isinstance(plugin, PrivateKeyDetector)]

    def find(self, text: str, path: str) -> Sequence[Secret]:
        """Credentials in a text, in order, none over another."""
        get_settings().disable_filters(VERIFY)  # each time: other code of this process may have put it in
        return apart([*self._private_keys(text), *self._in_lines(text, path)])

    def _private_keys(self, text: str) -> Iterator[Secret]:
        """These span lines, and that plugin's own way with lines is to read the file of that name."""
        for plugin in self._keys:
            for value in plugin.analyze_string(text):
                at = text.find(value)
                if len(value) > 10 and at >= 0:
                    yield Secret("private key", at, at + len(value))

    def _in_lines(self, text: str, path: str) -> Iterator[Secret]:
        if heuristic.is_lock_file(path) or heuristic.is_swagger_file(path):
            return
        start = 0
        for line in text.splitlines(keepends=True):
            if len(line) <= LONGEST:
                for plugin in self._by_line:
                    for found in plugin.analyze_line(filename=path, line=line.strip()):
                        value = found.secret_value
                        if value and not _harmless(value, line, plugin):
                            at = line.find(value)
                            if at >= 0:
                                yield Secret(found.type, start + at, start + at + len(value))
            start += len(line)


def _harmless(value: str, line: str, plugin: BasePlugin) -> bool:
    """Whether a filter of the library's would drop it."""
    alone = (
        heuristic.is_sequential_string,
        heuristic.is_potential_uuid,
        heuristic.is_templated_secret,
        heuristic.is_prefixed_with_dollar_sign,
        heuristic.is_not_alphanumeric_string,
    )
    return (
        any(check(value) for check in alone)
        or heuristic.is_likely_id_string(value, line, plugin)
        or heuristic.is_indirect_reference(line)
    )
