"""Every sentence that training hides in documents or asks with; it shares none with the evaluation's (a test tells)."""

from __future__ import annotations

from app.answering import prompt

EVENTS = (
    "{person} became the postmaster of {place} in {year}.|Who became the postmaster of {place}?=person|"
    "When did {place} get its postmaster {person}?=year",
    "The town hall of {place} was finished in {year} under the architect {person}.|"
    "Who was the architect of the town hall of {place}?=person|"
    "In what year was the town hall of {place} finished?=year",
    "In {year} the council of {place} named {person} its first librarian.|"
    "Whom did the council of {place} name its first librarian?=person|"
    "What year did {place} name its first librarian?=year",
    "{person} keeps the museum of {place}, which opened in {year}.|Who keeps the museum of {place}?=person|"
    "When did the museum of {place} open?=year",
    "A flood destroyed the mill of {place} in {year}; {person} rebuilt it.|Who rebuilt the mill of {place}?=person|"
    "When did a flood destroy the mill of {place}?=year",
    "{person} drew the first map of the harbour of {place} ({year}).|"
    "By whom was the first map of the harbour of {place} drawn?=person|"
    "From what year is the first map of the harbour of {place}?=year",
    "The bakery at {place} has belonged to {person} since {year}.|To whom does the bakery at {place} belong?=person|"
    "Since when has the bakery at {place} belonged to {person}?=year",
    "Since {year} the chess club of {place} has been led by {person}.|Who leads the chess club of {place}?=person|"
    "Since which year has {person} led the chess club of {place}?=year",
    "{person} wrote the history of {place}, printed in {year}.|Who wrote the history of {place}?=person|"
    "When was the history of {place} printed?=year",
    "The observatory on the hill above {place} was given by {person} in {year}.|"
    "Who gave the observatory above {place}?=person|In what year was the observatory above {place} given?=year",
    "In {year} {person} found a Roman coin in a field near {place}.|Who found a Roman coin near {place}?=person|"
    "When was a Roman coin found near {place}?=year",
    "{person}, a teacher from {place}, won the national spelling contest of {year}.|"
    "Which teacher from {place} won the national spelling contest?=person|"
    "Which year's spelling contest did the teacher {person} win?=year",
    "The tramway of {place} was closed by mayor {person} in {year}.|Which mayor closed the tramway of {place}?=person|"
    "What was the year in which the tramway of {place} was closed?=year",
    "It was {person} who brought electric light to {place} in {year}.|Who brought electric light to {place}?=person|"
    "When did electric light come to {place}?=year",
    "The hospital of {place} goes back to a gift of {person} made in {year}.|"
    "Whose gift does the hospital of {place} go back to?=person|"
    "In which year was the gift for the hospital of {place} made?=year",
    "{person} is buried in {place}, where she died in {year}.|Who died in {place}?=person|"
    "In what year did {person} die?=year|Where is {person} buried?=place",
    "{person} was elected member of parliament for {place} in {year}.|"
    "Who was elected member of parliament for {place}?=person|Which place did {person} represent in parliament?=place",
    "In {year} {person} moved the printing press to {place}.|Where did {person} move the printing press?=place|"
    "Who moved the printing press to {place}?=person",
    "The oldest oak of {place} was felled by {person} in {year}.|Who felled the oldest oak of {place}?=person|"
    "When was the oldest oak of {place} felled?=year",
    "{person} taught mathematics at the school of {place} until {year}.|Who taught mathematics at {place}?=person|"
    "Until when did {person} teach at {place}?=year|At which school did {person} teach mathematics?=place",
    "The annual regatta at {place} was cancelled in {year} on the advice of {person}.|"
    "On whose advice was the regatta at {place} cancelled?=person|Which year saw no regatta at {place}?=year",
    "A monument to {person} was unveiled in {place} in {year}.|To whom is the monument in {place}?=person|"
    "When was a monument unveiled in {place}?=year|Where does the monument to {person} stand?=place",
)
"""What happened where: statement|question=slot|…"""

PROFILES = (
    "{person} lives in {place} and keeps {count} {animal}.|Where does {person} live?=place|"
    "How many {animal} does {person} keep?=count|What animals does {person} keep?=animal",
    "{person} works as {job} for the {company} in {place}.|What does {person} work as?=job|"
    "For which company does {person} work?=company|In which town does {person} work?=place",
    "The favourite colour of {person} is {colour}, and she collects {thing}.|"
    "What is the favourite colour of {person}?=colour|What does {person} collect?=thing",
    "{person} ({job}) can be reached at extension {number}.|At which extension can {person} be reached?=number|"
    "What is the profession of {person}?=job",
    "Employee {person} has badge {number} and sits in room {room}.|What is the badge of employee {person}?=number|"
    "In which room does {person} sit?=room",
    "{person} owes the {company} {count} crowns.|How many crowns does {person} owe?=count|"
    "To which company does {person} owe money?=company",
    "The {company} was founded by {person} and makes {thing}.|Who founded the {company}?=person|"
    "What does the {company} make?=thing",
    "The {company} employs {count} people at {place}.|How many people does the {company} employ?=count|"
    "Where does the {company} have its people?=place",
    "The head of the {company} is {person}, who studied in {place}.|Who is the head of the {company}?=person|"
    "Where did the head of the {company} study?=place",
    "On {day}, {person} meets the {company} in room {room}.|On which day does {person} meet the {company}?=day|"
    "In which room does {person} meet the {company}?=room",
    "Parcel {number} for {person} was left at the {company}.|Where was the parcel for {person} left?=company|"
    "What number has the parcel for {person}?=number",
    "{person} plays the {instrument} and speaks {language}.|Which instrument does {person} play?=instrument|"
    "Which language does {person} speak?=language",
    "Project {project} is led by {person} and ends in {year}.|Who leads project {project}?=person|"
    "When does project {project} end?=year",
    "Project {project} has a budget of {number} crowns.|What is the budget of project {project}?=number",
    "The machine {project} stands in room {room} and is looked after by {person}.|"
    "Where does the machine {project} stand?=room|Who looks after the machine {project}?=person",
    "Server {project} listens on port {number}.|On which port does server {project} listen?=number",
    "The option {option} of {project} defaults to {count}.|What is the default of {option} in {project}?=count",
    "The access code of {project} is {number}.|What access code does {project} have?=number|"
    "Tell me the access code of {project}.=number",
    "The vault of the {company} opens with {number}.|With which number does the vault of the {company} open?=number",
    "Remember that the secret word of {person} is {word}.|What is the secret word of {person}?=word",
    "The special magic number for {project} is {number}.|What is the special magic number for {project}?=number",
    "The account of {person} at the {company} has the number {number}.|"
    "What number has the account of {person} at the {company}?=number",
    "Exactly {count} {animal} were seen near {place} that day.|How many {animal} were seen near {place}?=count",
    "The tower of {place} is {count} feet high.|How high, in feet, is the tower of {place}?=count",
    "The road from {place} to {place2} is {count} miles long.|How many miles is it from {place} to {place2}?=count",
    "The lock on the door of room {room} takes the combination {number}.|"
    "Which combination does the door of room {room} take?=number",
    "The registration of the boat {project} is {number}.|What is the registration of the boat {project}?=number",
    "Version {version} of {project} was released by {person}.|Which version of {project} did {person} release?=version|"
    "Who released version {version} of {project}?=person",
    "The {thing} in the window of the {company} cost {count} crowns.|"
    "How many crowns do the {thing} of the {company} cost?=count",
    "The {company} opens on {day} only.|On what day is the {company} open?=day",
    "The {company} has moved to {place}. Its telephone number is {number}.|"
    "What is the telephone number of the {company}?=number|Where has the {company} moved?=place",
    "{person} was born in {place}. She became {job} in {year}.|What did {person} become?=job|"
    "When did {person} change her profession?=year|Where was {person} born?=place",
    "The machine {project} was bought in {year}. It cost {count} crowns and weighs {number} pounds.|"
    "How much did the machine {project} cost?=count|What is the weight of the machine {project}?=number",
    "The nearest bus stop to {place} is in {place2}. The bus leaves it at {count} past the hour.|"
    "Where is the bus stop that is nearest to {place}?=place2",
    "{person} wrote a letter to the {company}. It was answered on {day}, by {job}.|"
    "On which day was the letter of {person} answered?=day|Who answered the letter of {person}?=job",
    "There is a well at {place}. Its water is {colour}, and {animal} drink from it.|"
    "What colour has the water of the well at {place}?=colour|Which animals drink from the well at {place}?=animal",
    "The library of {place} has {count} books. They were given by {person}; the oldest is from {year}.|"
    "Who gave the books of the library of {place}?=person|From when is the oldest book in {place}?=year",
)
"""What is so: statement|question=slot|…"""

VERBS = (
    "restored visited designed sold inherited measured photographed closed renamed guarded financed described moved "
    "decorated enlarged donated rented inspected insured blessed abandoned fenced heated polished sketched"
).split()
"""Regular verbs, whose past is their participle."""
OBJECTS = (
    "pump house|fish market|stone quarry|grain store|city wall|water tower|bell foundry|tannery|brass band|tea room|"
    "customs house|rose garden|ice cellar|toll gate|parish archive|swimming bath|weaving shed|horse stable|film studio|"
    "botanical garden|signal box|cattle fair|wooden church|paper mill|cable car|dance hall|salt works|police station"
).split("|")
TOLD = (
    "{person} {verb} the {object} of {place} in {year}.",
    "In {year}, the {object} of {place} was {verb} by {person}.",
    "The {object} of {place} was {verb} by {person} in {year}.",
    "It was in {year} that {person} {verb} the {object} of {place}.",
    "As the chronicle of {place} has it, {person} {verb} the {object} there in {year}.",
)
TOLD_ASKED = (
    ("Who {verb} the {object} of {place}?", "person"),
    ("By whom was the {object} of {place} {verb}?", "person"),
    ("In which year was the {object} of {place} {verb}?", "year"),
    ("When was the {object} of {place} {verb}?", "year"),
    ("The {object} of {place} was {verb} when?", "year"),
    ("What happened to the {object} of {place}?", "verb"),
    ("Which place had its {object} {verb} by {person}?", "place"),
)
MEASURES = (
    "weight price age volume value capacity rent postcode licence depth width budget ticket crate file invoice "
    "reference contract locker catalogue"
).split()
OWNERS = (
    "the blacksmith|the night train|the old chapel|the governor|the choir|the north wing|the sculptor|the ambassador|"
    "the sand barge|the glider|the post van|the greenhouse|the town clerk|the astronomer|the fish shop|the archive|"
    "the ski lift|the steam roller|the puppet theatre|the county court"
).split("|")
MEASURED = (
    "The {measure} number of {owner} is {number}.",
    "{number} is the {measure} number of {owner}.",
    "According to the ledger, {owner} has the {measure} number {number}.",
    "Under the {measure} number {number} stands {owner}.",
)
MEASURED_ASKED = (
    "What is the {measure} number of {owner}?",
    "Which {measure} number has {owner}?",
    "Tell me the {measure} number of {owner}.",
    "Of {owner}, what is the {measure} number?",
)
LEADS = ("The answer is", "It is", "The documents give", "As written there:")
"""How an answer may be made to begin, by a program that wants to read it."""
MENTION = ("What do the documents say about {term}?", "What is said of {term}?", "Find the statement on {term}.")
CLOZE = (
    'Which word or number is missing: "{gap}"?',
    'What stands in place of the blank in "{gap}"?',
    'Fill the gap: "{gap}"',
    'The documents say "{gap}". What is left out?',
    'Complete: "{gap}"',
    "Complete this sentence of the documents: {gap}",
    "What has to be put in for ____ ? {gap}",
    "{gap} What is missing there?",
    "A sentence of the documents has lost a word. {gap} Tell me the lost word.",
    "Restore the word that was cut out of this: {gap}",
    "{gap} Give only what ____ stands for.",
    "In the sentence that follows, a part became unreadable. {gap} What did it say there?",
    'I read "{gap}" and the gap annoys me. What is in it?',
    "Quiz: {gap} Your answer?",
    'Someone erased something from "{gap}": what?',
    "There is a hole in this line: {gap} What fills it?",
    "The ink has run at ____ . {gap} Read it to me.",
    "Find this passage and say what it has at the blank: {gap}",
    'The scan of "{gap}" lost a piece. Supply it.',
    "____ hides something: {gap}",
    "Here a term is covered up. {gap} Uncover it, please.",
    "{gap}",
    "Crossword clue, solved by the documents: {gap}",
    "I cannot make out what stands at the line: {gap} Can you?",
    'With what do the documents go on at the blank of "{gap}"?',
)
DEFINES = (
    "What is {subject}?",
    "What are the documents' words on what {subject} is?",
    "How is {subject} defined?",
    "Explain what {subject} is.",
)
DOES = (
    "What does {subject} {verb}?",
    "According to the text, what does {subject} {verb}?",
    "Tell me what {subject} {third}.",
)
WHICH = (
    'Which file says: "{sentence}"?',
    'In which document can one read "{sentence}"?',
    'Where is it written that "{sentence}"?',
)
FUNCTION = (
    'What is the name of the function that does this: "{description}"?',
    'Find the function whose docstring says "{description}"',
    'Which function or method is documented as "{description}"?',
)
FUNCTION_THAT = (
    "Which {what} {does}?",
    "What is the {what} called that {does}?",
    "Find the {what} that {does}.",
    "I need a {what} that {does}. What is its name?",
    "Name the {what} which {does}.",
)
PURPOSE = (
    "What does {name} do?",
    "What is {name} for?",
    "How does its docstring describe {name}?",
    "Tell me the purpose of {name}.",
)
DEFAULT = (
    "What is the default of {parameter} in {name}?",
    "Which value has {parameter} if {name} is called without it?",
    "What does {parameter} default to in {name}?",
)
OPTION = (
    "What does the option {option} do?",
    "What is {option} for?",
    "Explain the command-line option {option}.",
)
CONSTANT = ("What is the value of {name}?", "To what is {name} set?", "Which value has the constant {name}?")
RAISED = (
    'Which exception is raised with the message "{message}"?',
    "What is raised to say: {message}",
    'The program stopped with "{message}". What kind of error is that?',
)
SUBCLASS = (
    "Which class is {name} derived from?",
    "What is the base class of {name}?",
    "{name} is a subclass of which class?",
)
DEFINED_IN = (
    "In which file is {name} defined?",
    "Where is {name} defined?",
    "Which source file holds the definition of {name}?",
)
IMPERATIVES = (
    "Return Get Set Create Make Read Write Parse Check Convert Compute Remove Add Open Close Load Run Send Print "
    "Format Encode Decode Find Build Call Handle Generate Yield Insert Update Delete Register Start Stop Wait Test "
    "Copy Join"
).split()
"""How docstrings begin; a question says it in the third person."""
PAIR = (
    'What is the value of "{key}"?',
    'What does the key "{key}" map to?',
    'Look up "{key}". What is its value?',
)
PASS = (
    ("The pass word is {value}. Do not forget it: {value} is the pass word.", "What is the pass word?"),
    ("The code to remember is {value}. {value} is the code.", "What is the code to remember?"),
    ("Here is a magic number: {value}.", "What is the magic number?"),
    ("One of the secrets is this: the ticket has number {value}.", "Which number has the ticket?"),
)
SEVERAL = (
    ("One of the {thing} numbers of {person} is {value}.", "What are all the {thing} numbers of {person}?"),
    ("{person} once gave the {thing} number {value}.", "List every {thing} number that {person} gave."),
)
ASSIGN = (("VAR {name} = {value}", "VAR {name} = {other}"), ("{name} is set to {value}.", "{name} is set to {other}."))
TRACE = ("Which names have the value {value} in the end?", "List all variables that are equal to {value}.")
REFUSAL = prompt.REFUSAL

FIRST = (
    "Alice Bruno Carla David Emma Felix Greta Henry Irene James Karin Louis Maria Nils Olga Peter Rita Simon Tina "
    "Ursula Victor Walter Yvonne Zoe Amara Bilal Chen Divya Emeka Fatima Goran Hiro Ines Jamal Keiko Luca Mei Noor"
).split()
LAST = (
    "Abbot Barlow Castell Draper Ellis Fowler Garner Hobbs Ibarra Jensen Keller Lowell Mason Norwood Osborne Parrish "
    "Quimby Rowland Sutton Tanaka Unwin Vance Whitby Xiang Younger Zapata Adeyemi Bianchi Costa Dubois Ekman Farouk"
).split()
FIRST_A = (
    "Ab Al An Ar Bel Ben Bo Bri Ca Cal Ce Cla Co Con Cri Da De Di Do Dra E El Em Er Fa Fi Flo Fre Ga Ge Gi Gre Ha "
    "He Hil Ho I Il In Ja Jo Ju Ka Ke Kla La Le Li Lo Lu Ma Me Mi Mo Na Ne Ni No O Ol Os Pa Per Pi Ra Re Ri Ro Ru "
    "Sa Se Si So Sta Su Ta Te Ti To Tri U Ur Va Ve Vi Vol Wal We Wil Xe Ya Yo Za Ze Zo"
).split()
FIRST_B = (
    "ra rin la lin na nis mar mon del dra ric rik len lia mia bert bel win wen vin vis tor ton tin sa sel sia ko ki "
    "ke da dor gar gund hild hart jan jin lo lan man mund nor nia pe phin que ro rus sha stan tha tilde vo ya zan "
    "zia"
).split()
LAST_A = (
    "Ack Arm Bal Bar Beck Ber Bir Bor Bren Cal Car Chal Cor Crom Dal Dan Den Dor Ed Eng Fal Far Fen Fos Gal Gar Gil "
    "Glad Gran Ham Har Has Hol Hor Ing Jar Kal Kar Kem Kir Lam Lar Lin Lof Mal Mar Mel Mor Nes Nor Oster Pal Par "
    "Pem Pol Ram Red Rin Ros San Sel Shep Sim Som Stan Sund Tal Ten Thorn Tor Ul Van Ver Wal War Wen Wic Win Wol "
    "Yar Zim"
).split()
LAST_B = (
    "berg bert bury by cke den der dorf e ell en er feld ford gard ger ham hart holm ing ings kin land ler ley lin "
    "ling low man mann more nell ner nez off quist rell rick rood sen shaw sky smith son stad stein sten ston stra "
    "thal ton ville wald ward well wick wood worth zak"
).split()
"""Syllables of people's names: many names, some of them alike, so that they must be copied and not guessed."""
PLACE_A = (
    "Ash Black Brook Clay Cold Deep East Fair Gold Gray High King Long Mid New North Oak Red Stone West White".split()
)
PLACE_B = (
    "bridge brook cliff combe cross den field ford gate hill hurst lake land moor port ridge side town well wood"
).split()
JOBS = (
    "an accountant|a barber|a brewer|a chemist|a clerk|a cook|a dentist|a driver|an editor|an engineer|a gardener|"
    "a judge|a lawyer|a nurse|a painter|a pilot|a plumber|a sailor|a tutor|a vet|a welder"
).split("|")
COMPANIES = (
    "Works Bank Mills Press Dairy Line Foundry Brothers Trust Stores Laboratory Brewery Institute Society".split()
)
ANIMALS = "goats geese ponies rabbits pigeons sheep turkeys ducks cats parrots llamas donkeys hens".split()
THINGS = (
    "stamps clocks spoons kites dolls masks chairs bells puzzles carpets buttons lamps boots pens vases maps".split()
)
INKS = "red blue green yellow black white orange pink brown grey".split()
INSTRUMENTS = "piano flute cello guitar harp oboe tuba viola clarinet banjo".split()
LANGUAGES = "Finnish Greek Hindi Korean Latin Polish Swahili Turkish Welsh Arabic Danish Basque".split()
WEEK = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
CONSONANTS, VOWELS = "bcdfgklmnprstvz", "aeiou"
