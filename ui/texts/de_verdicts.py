"""Verdicts on files in German, by their English sentence: documents keep what was said when they were read."""

from __future__ import annotations

VERDICTS = {
    "it is empty": "leer",
    "it is a binary file": "eine Binärdatei",
    "no text encoding fits it": "keine Textkodierung passt",
    "it has a {} mark but is not {}": "als {} gekennzeichnet, ist aber nicht {}",
    "not UTF-8; read as {}": "nicht UTF-8, gelesen als {}",
    "it cannot be read": "nicht lesbar",
    "it cannot be read ({})": "nicht lesbar ({})",
    "it is larger than {} MiB": "größer als {} MiB",
    "it is a directory, not a file": "ein Ordner, keine Datei",
    "it is a device, a pipe or a socket, not a file": "ein Gerät oder eine Pipe, keine Datei",
    "it nests too deeply or is too large ({})": "zu tief verschachtelt oder zu groß ({})",
    # archives
    "it is an empty archive": "ein leeres Archiv",
    "it is an archive too deep inside archives": "ein Archiv zu tief in Archiven",
    "it holds more files than are allowed; the rest was not read": "mehr Dateien als erlaubt; der Rest fehlt",
    "it has no contents": "ohne Inhalt",
    "it is a link or a device inside an archive": "ein Link oder Gerät in einem Archiv",
    "it is a sparse file inside an archive": "eine Datei mit Lücken in einem Archiv",
    "it is damaged inside its archive ({})": "in seinem Archiv beschädigt ({})",
    "it is encrypted": "verschlüsselt",
    "it unpacks to more than is allowed": "entpackt größer als erlaubt",
    "it unpacks to more than {} times its size, as bombs do": "entpackt mehr als {}-mal so groß, wie Zip-Bomben",
    "its path leads out of the archive": "sein Pfad führt aus dem Archiv hinaus",
    "the archive is damaged; what follows in it was not read ({})": "das Archiv ist beschädigt; was darin folgt, ist "
    "nicht gelesen ({})",
    "the archive unpacks to more than is allowed": "das Archiv wird entpackt größer als erlaubt",
    # PDF
    "it has no pages": "ohne Seiten",
    "its pages hold no text (scanned images?)": "die Seiten enthalten keinen Text (eingescannt?)",
    "{} of {} pages hold no text": "{} von {} Seiten enthalten keinen Text",
    "{} of {} pages are damaged": "{} von {} Seiten sind beschädigt",
    "it holds more than {} characters": "mehr als {} Zeichen",
    "it is encrypted; remove the password first": "verschlüsselt; erst das Passwort entfernen",
    "it is damaged: it cannot be read as a PDF": "beschädigt: nicht als PDF lesbar",
    "it is damaged: none of its pages can be read": "beschädigt: keine Seite ist lesbar",
    "the file is cut off at its end; {} pages could be read": "am Ende abgeschnitten; {} Seiten waren lesbar",
    "reading it took longer than {} seconds": "das Lesen dauerte länger als {} Sekunden",
    "the PDF reader crashed on it or ran out of memory": "der PDF-Leser scheiterte daran oder hatte zu wenig Speicher",
    # Office, e-books, mail
    "it is encrypted or of an old Office format; save it without password as .docx, .xlsx, …": "verschlüsselt oder in "
    "einem alten Office-Format; ohne Passwort als .docx, .xlsx, … speichern",
    "it is damaged: it cannot be opened ({})": "beschädigt: nicht zu öffnen ({})",
    "it has more than {} parts": "mehr als {} Teile",
    "it is damaged: the part '{}' is missing": "beschädigt: der Teil „{}“ fehlt",
    "its part '{}' unpacks to more than is allowed": "der Teil „{}“ wird entpackt größer als erlaubt",
    "it is damaged or encrypted: '{}' cannot be read ({})": "beschädigt oder verschlüsselt: „{}“ ist nicht lesbar ({})",
    "its part '{}' is no well-formed XML ({})": "der Teil „{}“ ist kein wohlgeformtes XML ({})",
    "a row has more than {} columns": "eine Zeile hat mehr als {} Spalten",
    "its chapters are encrypted (DRM)": "die Kapitel sind verschlüsselt (DRM)",
    "none of its chapters can be read; {}": "kein Kapitel ist lesbar; {}",
    "{} chapters cannot be read ({})": "{} Kapitel sind nicht lesbar ({})",
    "it is no e-mail: it does not begin with headers": "keine E-Mail: sie beginnt nicht mit Kopfzeilen",
    "message {} is damaged ({}: {})": "Nachricht {} ist beschädigt ({}: {})",
    "{} attachments are named but not read": "{} Anhänge sind genannt, aber nicht gelesen",
    # data and markup
    "it is no HTML that can be parsed ({})": "kein lesbares HTML ({})",
    "its elements nest too deeply to be read whole": "zu tief verschachtelt, um ganz gelesen zu werden",
    "it is no Jupyter notebook ({}: {})": "kein Jupyter-Notebook ({}: {})",
    "{} outputs are images or widgets and were left out": "{} Ausgaben sind Bilder oder Widgets und fehlen",
    "it is JSON that nests too deeply or has numbers too large to check": "JSON, das zu tief verschachtelt ist oder zu "
    "große Zahlen hat, um es zu prüfen",
    "it is not valid JSON from line {} on": "ab Zeile {} kein gültiges JSON",
    "long lines were cut behind commas and brackets": "lange Zeilen sind hinter Kommas und Klammern getrennt",
    "its rows cannot be checked ({})": "die Zeilen sind nicht zu prüfen ({})",
    "{} rows differ in width from the first, the first at line {}": "{} Zeilen sind anders breit als die erste, zuerst "
    "Zeile {}",
    "secrets redacted: {}": "Geheimes geschwärzt: {}",
}
