"""demo.names: the words that the people of Loomford are made of. All invented or common; no real person is meant."""

from __future__ import annotations

FEMALE = (
    "Eleanor", "Margaret", "Katherine", "Elizabeth", "Susanna", "Zoë", "Hannah", "Ingrid", "Amara", "Beatriz",
    "Chiara", "Dorothy", "Esther", "Farida", "Grace", "Helena", "Irina", "Josephine", "Leila", "Miriam",
    "Nadia", "Olivia", "Priya", "Rosalind", "Sofia", "Theresa", "Ursula", "Victoria", "Wanda", "Yasmin",
    "Agnes", "Bridget", "Clara", "Deborah", "Fiona", "Gwendolyn", "Harriet", "Isabel", "Judith", "Louise",
)  # fmt: skip
MALE = (
    "Alexander", "Benjamin", "Christopher", "Daniel", "Edward", "Frederick", "George", "Hassan", "Ivan", "James",
    "Kofi", "Laurence", "Matthew", "Nicholas", "Oliver", "Patrick", "Quentin", "Robert", "Samuel", "Thomas",
    "Umar", "Vincent", "William", "Xavier", "Youssef", "Anton", "Bernard", "Charles", "Dominic", "Søren",
    "Felix", "Gabriel", "Henry", "Isaac", "Joseph", "Leonard", "Michael", "Nathaniel", "Raymond", "Stephen",
)  # fmt: skip
FAMILY = (
    "Abernathy", "Achterberg", "Adeyemi", "Alvarado", "Ashworth", "Bakker", "Barnaby", "Bellamy", "Birkett", "Blackwood",
    "Boateng", "Brennan", "Calloway", "Carmichael", "Castellano", "Chaudhry", "Cholmondley", "Cogswell", "Corrigan", "Cowley",
    "Dalgaard", "Danforth", "Delacroix", "Dempsey", "Dunmore", "Eastwick", "Eisenberg", "Fairbank", "Fenwick", "Ferreira",
    "Fitzroy", "Gallagher", "Garrick", "Gilchrist", "Goldsworthy", "Greenhalgh", "Hadley", "Halloran", "Hargreave", "Hathersage",
    "Hawthorne", "Holloway", "Iwasaki", "Jankowski", "Jessop", "Kaczmarek", "Kavanagh", "Kettering", "Kowalczyk", "Lagerfeld",
    "Langstaff", "Lindqvist", "Lockhart", "Macauley", "Marchetti", "Mbeki", "Merriweather", "Middlebrook", "Montague", "Moreau",
    "Mukherjee", "Müller", "Nakamura", "Netherby", "Nightingale", "Nordstrom", "Núñez", "O'Dowd", "Okafor", "Oldfield",
    "Ostrowski", "Paddock", "Papadakis", "Pemberton", "Petrov", "Pickering", "Quigley", "Radcliffe", "Ravensdale", "Rosenthal",
    "Rutherford", "Saltmarsh", "Sandoval", "Sedgwick", "Shackleton", "Silverstone", "Somerset", "Stavros", "Sutherland", "Tattersall",
    "Thackeray", "Thornbury", "Trevelyan", "Underhill", "Vandermeer", "Villanueva", "Wainwright", "Westerby", "Whitlock", "Yardley",
)  # fmt: skip
NICKNAMES: dict[str, tuple[str, ...]] = {
    "Alexander": ("Alex", "Sandy"),
    "Benjamin": ("Ben",),
    "Christopher": ("Chris", "Kit"),
    "Daniel": ("Dan",),
    "Deborah": ("Debbie",),
    "Dorothy": ("Dot",),
    "Edward": ("Ted", "Ed"),
    "Eleanor": ("Nell", "Ellie"),
    "Elizabeth": ("Liz", "Beth"),
    "Frederick": ("Fred",),
    "Gabriel": ("Gabe",),
    "Isabel": ("Bella",),
    "James": ("Jim", "Jamie"),
    "Joseph": ("Joe",),
    "Josephine": ("Jo",),
    "Katherine": ("Kate", "Kathy"),
    "Laurence": ("Larry",),
    "Margaret": ("Peggy", "Maggie"),
    "Matthew": ("Matt",),
    "Michael": ("Mick", "Mike"),
    "Nicholas": ("Nick",),
    "Patrick": ("Paddy", "Pat"),
    "Robert": ("Bob", "Rob"),
    "Samuel": ("Sam",),
    "Stephen": ("Steve",),
    "Susanna": ("Sue",),
    "Theresa": ("Tess",),
    "Thomas": ("Tom",),
    "Victoria": ("Vicky",),
    "William": ("Bill", "Will"),
}
STREETS = (
    "Weavers Row", "Shuttle Lane", "Heddle Street", "Bobbin Close", "Warp Street", "Weft Road", "Spindle Gardens",
    "Fulling Mill Lane", "Dyers Court", "Carding Hill", "Treadle Way", "Selvedge Avenue", "Tenter Green",
    "Canal Side", "Chapel Walk", "Market Place", "Orchard Rise", "Station Road", "Church Lane", "North Parade",
)  # fmt: skip
TOWNS = (
    ("Loomford", "LF1 2AB"),
    ("Loomford", "LF1 4QT"),
    ("Upper Weaving", "LF2 6HD"),
    ("Threadbury", "LF3 1JN"),
    ("Cotter's Mill", "LF4 8RS"),
    ("Woolden", "LF5 3EE"),
)
"""Town and postcode."""

DOCTORS = (
    ("Ashdown", "Miriam"),
    ("Castell", "Hugo"),
    ("Devereux", "Anne"),
    ("Kimathi", "Paul"),
    ("Lindgren", "Karin"),
    ("Sorensen", "Erik"),
)
