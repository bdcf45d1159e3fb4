"""Reasons and errors in German: by a reason's code, by an error's class. In English they come with their sentence."""

from __future__ import annotations

REASONS = {
    # what an answer was made from
    "whole_as_asked": "Ganz gelesen wie eingestellt: alle {corpus} Token der Dokumente.",
    "whole_beyond": "Ganz gelesen wie eingestellt: alle {corpus} Token der Dokumente, mehr als die {effective} Token, "
    "aus denen das Modell gut antwortet.",
    "whole_core": "Wie eingestellt ohne Suche: von {corpus} Token der Dokumente fasst das Fenster {taken}; {whole} "
    "Dokumente sind ganz gelesen, von {outlined} nur die Deklarationen, von {listed} nur der Name, {excluded} nicht.",
    "whole_no_room": "Ganz gelesen wie eingestellt, doch kein Dokument passt in das Fenster.",
    "whole_fits": "Alle {corpus} Token der Dokumente passen und sind ganz gelesen.",
    "packed_as_asked": "Wie eingestellt sind nur Stellen gelesen, die Wörter mit der Frage gemein haben.",
    "packed_too_long": "Die Dokumente haben {corpus} Token, mehr als die {effective}, aus denen das Modell gut "
    "antwortet; gelesen sind nur Stellen, die Wörter mit der Frage gemein haben.",
    "sent_whole": "Geantwortet hat {model} bei {server}; geschickt wurde die ganze Sammlung.",
    "sent_packed": "Geantwortet hat {model} bei {server}; geschickt wurden Stellen, die Wörter mit der Frage gemein "
    "haben.",
    "no_documents": "Das Modell hat ohne Dokumente geantwortet.",
    "no_documents_plain": "Geantwortet hat {model}, denn Dokumente gab es keine.",
    # why the session store gave no more
    "nothing_kept": "Noch war nichts aufbewahrt.",
    "nothing_kept_saving": "Noch ist nichts aufbewahrt; {waiting} andere Stücke werden gerade geschrieben.",
    "other_settings": "Nur unter anderen Einstellungen aufbewahrt; anders ist: {fields}.",
    "other_beginning": "Nichts Aufbewahrtes beginnt so.",
    "rest_not_kept": "Von Token {start} an war nichts aufbewahrt.",
    "rest_saving": "Von Token {start} an wird noch geschrieben.",
    "rest_failed": "Von Token {start} an ließ es sich nicht aufbewahren. Die Meldung: {error}",
    "saving": "Es wird noch geschrieben.",
    "failed": "Es ließ sich nicht aufbewahren. Die Meldung: {error}",
    "unreadable": "Von Token {start} an lässt sich nichts lesen. Die Meldung: {error}",
    "damaged": "Von Token {start} an war es auf der Platte beschädigt.",
    "chunk_damaged": "Ein Stück ist beschädigt und beiseitegelegt. Die Meldung: {error}",
    "catalogue": "Das Verzeichnis des Sitzungsspeichers ist nicht zu benutzen. Die Meldung: {error}",
    "computing_faster": "Neu zu lesen dauert vermutlich kürzer: {computing} s statt {restoring} s.",
    "pages": "Seiten von {page} Token lassen sich nicht in Stücken von {chunk} aufbewahren.",
}
ERRORS = {
    "OmnibusError": "Das ging nicht: {message}",
    "NoSuchCollection": "Eine Sammlung „{name}“ gibt es nicht.",
    "EmptyCollection": "In der Sammlung „{name}“ ist kein lesbares Dokument. Erst Dateien hinzufügen.",
    "NoSuchConversation": "Das Gespräch {number} gibt es hier nicht (mehr).",
    "NotAllowed": "„{user}“ darf hier lesen, aber nichts hinzufügen, ändern oder löschen. Das kann ein Verwalter.",
    "NoSuchDocument": "Das Dokument „{name}“ ist nicht (mehr) in dieser Sammlung.",
    "NotAnswerable": "So lässt sich nicht fragen: {message}",
    "EmptyQuestion": "Die Frage ist leer. Etwas zu den Dokumenten fragen.",
    "UploadTooLarge": "„{name}“ ist größer als {limit_mb} MB. Mehr erlaubt OMNIBUS_MAX_UPLOAD_MB.",
    "SparseMissing": "OMNIBUS_SPARSE braucht pyseismic-lsr: pip install 'omnibus-rag[sparse]', oder es nicht setzen.",
    "NotARule": "Diese Regel gibt es nicht (mehr).",
    "RemoteError": "Der andere Server meldet: {message}",
    "Unreachable": "Keine Antwort von {url} ({cause}). Läuft der Server dort?",
    "BrokeOff": "Die Antwort von {url} brach ab. Noch einmal fragen.",
    "EngineError": "Das Modell kann nicht antworten: {message}",
    "ModelNotFound": "Ein Modell „{source}“ ist nicht zu haben. Möglich sind ein Name im Hub, ein Ordner mit "
    "config.json, eine .gguf-Datei oder „default“. Die Ursache: {reason}",
    "ModelLoadError": "Das Modell „{source}“ lässt sich nicht laden. Die Ursache: {reason}",
    "DownloadFailed": "Das Herunterladen ist misslungen ({what}). Die Ursache: {reason}",
    "PromptTooLong": "Der Prompt braucht {tokens} Token, das Fenster des Modells fasst {window}. Unter Einstellungen "
    "„Nur Stellen“ wählen, Dokumente entfernen oder ein Modell mit größerem Fenster nehmen.",
    "Cancelled": "Angehalten.",
    "DoesNotFit": "{tokens} Token brauchen wenigstens {device:gib} Gerätespeicher ({device_free:gib} sind frei). Unter "
    "Einstellungen „Nur Stellen“ wählen, Dokumente entfernen oder ein kleineres Modell oder größeres Gerät nehmen.",
    "HostMemoryRefused": "Das System gab keine {size:gib} festen Arbeitsspeicher. Speicher freigeben, die Grenze für "
    "gesperrten Speicher heben (ulimit -l) oder weniger laden.",
    "UnknownPolicy": "Eine Auswahl „{spec}“ der Attention gibt es nicht. Die Ursache: {reason}",
    "PatternFileError": "Die Musterdatei {source} ist nicht zu brauchen: {entry} {reason}.",
    "StoreError": "Der Sitzungsspeicher kann das nicht: {message}",
    "StoreFull": "Für den Sitzungsspeicher ist kein Platz mehr: {message}",
    "CatalogueDamaged": "Das Verzeichnis des Sitzungsspeichers ist beschädigt: {message}",
    "CorruptChunk": "Ein aufbewahrtes Stück ist beschädigt ({reason}) und beiseitegelegt.",
    "BadKey": "Der Schlüssel des Sitzungsspeichers muss 64 Hexadezimalziffern haben: openssl rand -hex 32",
    "ExtraMissing": "Dazu fehlt ein Paket: pip install 'omnibus-rag[{extra}]'",
    "WrongKey": "Der Sitzungsspeicher {root} gehört zu einem anderen Schlüssel oder zu keinem.",
    "ReadOnly": "Der Sitzungsspeicher {root} wird nur gelesen, sein Ordner ist nicht beschreibbar.",
    "IngestError": "Die Datei lässt sich nicht lesen: {message}",
    "ScannerMissing": "bc-detect-secrets ist nicht installiert: pip install 'omnibus-rag[secrets]'",
    "FileMissing": "Eine Datei oder einen Ordner „{path}“ gibt es nicht.",
}
