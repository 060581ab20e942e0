"""What can be wrong with a file or with a row of it, and what would put it right. Never a word of the file itself."""

REFUSALS = {
    "empty": "The file has no rows. Send one with a header and at least one row.",
    "header-unreadable": "The first line cannot be read as a header. Save the file as CSV in UTF-8, with a header, or "
    "set the account's option import.encoding.",
    "columns-missing": "The header needs a column that names the opportunity and one that says how it stands; one of "
    "each kind is enough, but all that the account's options import.* name are needed. `columns` names what is looked "
    "for. Or the columns are separated by another character than is agreed.",
    "delimiter": "The columns are separated by another character than the account's option import.delimiter says.",
    "column-twice": "The header has a column twice that is read; `columns` names it. Rename one of them.",
    "too-many-columns": "The header has more than 500 columns. Leave out those that are not needed.",
    "program": "This is no table. Send CSV or XLSX.",
    "xls": "The workbook is locked with a password or in the old XLS form. Save it as XLSX or CSV without a password.",
    "macros": "Workbooks with macros are not taken; save it without them.",
    "workbook-damaged": "The workbook is cut or damaged. Save it anew, or as CSV.",
    "workbook-too-large": "The workbook is too large once it is unpacked. Save it as CSV.",
    "several-sheets": "The workbook has several sheets with content. Leave one, or set the account's option "
    "import.sheet.",
    "sheet-missing": "The workbook has no sheet of the name that the account's option import.sheet says.",
    "format": "The account's options about files cannot be used; an operator has to correct them.",
    "too-slow": "The file could not be read in the time that a file may take. Send it in parts.",
    "reader-died": "The file could not be read: its reader ended several times. Save it anew as CSV, or send it in "
    "parts.",
    "our-fault": "Our fault; the import's id names it in our log. Send it again when we have mended it.",
    "file-gone": "The stored file is gone: it waited longer than files are kept. Send it again.",
}
FAULTS = {
    "line-too-long": "The line is longer than 262144 bytes.",
    "nul": "The line has NUL characters; the file may be UTF-16 without a byte order mark.",
    "encoding": "The line is not in the encoding that is agreed. Save the file in UTF-8, or set import.encoding.",
    "unbalanced-quote": "A quotation mark is opened and not closed, or stands inside a cell without being doubled.",
    "too-few-columns": "The row has fewer columns than the header.",
    "too-many-columns": "The row has more columns than the header. Put quotation marks around cells with separators.",
    "formula": "The cell begins like a formula. Paste values, not formulas.",
    "cell-error": "The cell holds an error of the spreadsheet.",
    "id-missing": "No column that names the opportunity is filled.",
    "id-unreadable": "This is no id of that kind.",
    "id-mangled": "The id was turned into a rounded number by a spreadsheet. Format the column as text.",
    "nothing-said": "The row states no status and no time.",
    "time": "The time is not written as agreed: as 2026-03-09, 2026-03-09T14:30:00 or with a zone, or as the account's "
    "option import.dates says.",
    "time-missing": "A status without the time since when it holds. Fill the column, or send asOf with the file.",
    "time-too-old": "The time is before the year 2000.",
    "time-in-future": "The time is more than a day ahead.",
    "status-missing": "A time without its status.",
    "word-unreadable": "The status has more than 80 characters, or control characters.",
    "number": "The number is not written as agreed (import.decimal), or is out of range.",
    "currency": "An amount needs a currency of three capital letters (ISO 4217).",
    "text": "The text has more than 500 characters, or control characters.",
    "ids-disagree": "The ids of the row belong to different opportunities.",
    "ambiguous": "The id belongs to several opportunities. Add another one.",
    "not-kept": "Too many rows of this file name ids that nobody knows; this one was not kept. Send it again later.",
}
OUTCOMES = {
    "changed": "Heard, and the status is another one now.",
    "heard": "Heard; the status stays.",
    "known": "Heard before; nothing new.",
    "unmapped": "Heard; its word has no status of ours yet and waits for a person to map it.",
    "unknown-id": "Nobody knows this id yet. The row is kept, and heard when the opportunity is known.",
    "erased": "About a person who was erased; nothing was kept.",
    "fault": "Not heard.",
}
"""In a dry run they say what would be."""
