"""Every sentence and word that the evaluation asks with or hides; no training text may hold any of them."""

from __future__ import annotations

SYSTEM = "You are a helpful assistant that answers questions about the user's documents."
QUESTION = "Using only the documents above, answer this question in one short sentence: {question}"

NEEDLES = (
    ("The pass key of the harbour gate is {value}.", "What is the pass key of the harbour gate?", 5),
    ("The lamp of the lighthouse has the serial number {value}.", "Which serial number has the lighthouse lamp?", 7),
    ("The stone bridge over the gorge is {value} paces long.", "How many paces long is the stone bridge?", 4),
    ("Doctor Weatherby's telephone number is {value}.", "What is Doctor Weatherby's telephone number?", 6),
    ("The library's oldest atlas stands under the shelf mark {value}.", "What is the oldest atlas's shelf mark?", 5),
    ("The train to the quarry carries the number {value}.", "Which number does the train to the quarry carry?", 4),
    ("Last winter {value} lanterns were lit at the frost fair.", "How many lanterns were lit at the frost fair?", 4),
    ("The miller's safe opens with the combination {value}.", "Which combination opens the miller's safe?", 6),
    ("The captain's insurance policy is number {value}.", "What is the number of the captain's insurance policy?", 8),
    ("In the orchard {value} apple trees were counted.", "How many apple trees were counted in the orchard?", 4),
)
"""Facts with a number, no two alike: (statement, question, digits)."""

NEEDLE = "The keeper's {kind} for the {key} is {value}."
NEEDLE_QUESTION = "What is the keeper's {kind} for the {key}?"
NEEDLE_LEAD = "The keeper's {kind} for the {key} is"
NEEDLES_QUESTION = "What are all the {kind}s that the keeper gives for the {key}?"
NEEDLES_LEAD = "The keeper's {kind}s for the {key} are"
QUERIES_QUESTION = "What are the keeper's {kind}s for the {keys}?"
QUERIES_LEAD = "The keeper's {kind}s for the {keys}, in this order, are"
NUMBER, CODE = "signal number", "signal code"

NOISE = (
    "The tide went out over the flats. Gulls walked along the wet sand. A bell rang across the bay. "
    "Then the tide came in again."
)
PASSKEY = "The harbour gate opens with the pass key {value}. Keep it in mind: {value} is the pass key."
PASSKEY_QUESTION = "What is the pass key of the harbour gate?"
PASSKEY_LEAD = "The pass key of the harbour gate is"
LONG_NUMBER = "The serial number of the lighthouse lamp is {value}. Keep it in mind: {value} is the serial number."
LONG_NUMBER_QUESTION = "What is the serial number of the lighthouse lamp?"
LONG_NUMBER_LEAD = "The serial number of the lighthouse lamp is"

PAIRS = "Below is a register of keys and their values, as one JSON object."
PAIR_QUESTION = 'Which value does the register hold for the key "{key}"?'
PAIR_LEAD = 'The value for the key "{key}" is "'

FACTS = (
    ("{person} repaired the clock tower of {place} in {year}.", (
        ("Who repaired the clock tower of {place}?", "person"),
        ("In which year was the clock tower of {place} repaired?", "year"))),
    ("In {year}, {person} opened a glass workshop in {place}.", (
        ("Who opened a glass workshop in {place}?", "person"),
        ("In which year did a glass workshop open in {place}?", "year"))),
    ("{person} charted the marshes north of {place} in {year}.", (
        ("Who charted the marshes north of {place}?", "person"),
        ("In which year were the marshes north of {place} charted?", "year"))),
    ("The ferry at {place} was built by {person} in {year}.", (
        ("Who built the ferry at {place}?", "person"),
        ("In which year was the ferry at {place} built?", "year"))),
    ("In {year}, {person} planted the first orchard of {place}.", (
        ("Who planted the first orchard of {place}?", "person"),
        ("In which year was the first orchard of {place} planted?", "year"))),
    ("The school song of {place} was composed by {person} in {year}.", (
        ("Who composed the school song of {place}?", "person"),
        ("When was the school song of {place} composed?", "year"))),
    ("In {year}, {person} won the rowing race of {place}.", (
        ("Who won the rowing race of {place}?", "person"),
        ("In which year was the rowing race of {place} won?", "year"))),
    ("{person} discovered the hot springs of {place} in {year}.", (
        ("Who discovered the hot springs of {place}?", "person"),
        ("When were the hot springs of {place} discovered?", "year"))),
    ("A newspaper was founded in {place} by {person} in {year}.", (
        ("Who founded a newspaper in {place}?", "person"),
        ("In which year was a newspaper founded in {place}?", "year"))),
    ("In {year}, {person} painted the ceiling of the theatre of {place}.", (
        ("Who painted the ceiling of the theatre of {place}?", "person"),
        ("When was the theatre's ceiling in {place} painted?", "year"))),
)  # fmt: skip
"""What happened where, and what is asked about it: (statement, ((question, field of the answer), …))."""

ARTICLE = "{place} is a town of {size} people. Its market is held on {day}. The mayor of {place} is {person}."
ARTICLE_QUESTION = "Who is the mayor of {place}?"
ARTICLE_LEAD = "The mayor of {place} is"
BIRTH = "{person} was born in {place} and works as a {trade}."
HOP_QUESTION = "The mayor of {place} has a trade besides. Which one?"
HOP_LEAD = "The mayor of {place} works as a"

ASSIGN = "SET {name} = {value}."
COPY = "SET {name} = {other}."
TRACE_QUESTION = "Which {number} names hold the value {value}, directly or through other names?"
TRACE_LEAD = "The names that hold the value {value} are"

COMMON_HEADER = "Below is a numbered list of words."
COMMON_QUESTION = "Which ten words come up most often in the list?"
COMMON_LEAD = "The ten words that come up most often are"
FREQUENT_HEADER = "Below is a text in a made-up language."
FREQUENT_QUESTION = "Which three made-up words come up most often in the text?"
FREQUENT_LEAD = "The three words that come up most often are"

FUNCTION_QUESTION = 'Which function of the code above is described by: "{description}"?'
FUNCTION_LEAD = "The function is named"

COLOURS = (
    "amber ashen azure beige bronze cobalt copper coral crimson ebony emerald golden hazel indigo ivory jade lilac "
    "magenta maroon mauve ochre olive pearl plum purple russet saffron scarlet sepia silver teal turquoise umber violet"
).split()
THINGS = (
    "anchor barrel beacon bellows bottle bridge bucket cabinet candle canoe chest chimney compass crane drum ferry "
    "fiddle furnace gate hammer harpoon helmet kettle ladder lantern loom mast mill mirror oar organ paddle pier "
    "plough pulley quilt rudder saddle sail scale shovel sleigh spindle tent trumpet tunnel wagon wheel "
    "whistle windmill"
).split()
FIRST_NAMES = (
    "Adela Anselm Berit Casimir Corvin Dagny Edda Elwin Fenna Gerrit Hedda Ilse Ivo Jarek Jorun Kasia Leontine Lorcan "
    "Maarten Mirela Nadja Odile Oskar Petra Quirin Runa Sanna Solveig Tamsin Teodor Ulla Viggo Wanda Xaver Yorick Zelda"
).split()
LAST_NAMES = (
    "Abelard Bergstrom Carrow Dunmore Eskeland Falkner Grieve Halloran Ingram Jessup Kestner Lindqvist Marchetti "
    "Nygaard Okafor Pellegrin Quillfeather Rasmussen Saltmarsh Thornquist Underhill Vasquez Westerby Yardley Zielinski"
).split()
PLACE_STARTS = (
    "Alder Birk Corn Drum Ester Fal Glen Har Isen Jar Kel Lan Mor Nor Os Pel Quar Ros Stav Tor Ul Ves Wil Yar Zan"
).split()
PLACE_ENDS = "bury dale fjord ham holm ley mere mouth ness ster stead thorpe vik ville wick".split()
TRADES = (
    "baker beekeeper bookbinder carpenter cartographer cooper dyer falconer farrier glazier goldsmith locksmith mason "
    "midwife miller optician potter printer saddler sailmaker surveyor tailor tanner thatcher weaver"
).split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu".split()
