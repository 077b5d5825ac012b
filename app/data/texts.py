"""What synthetic lines say: words of seven languages, names, dates, amounts, codes, receipts and form labels.

Owns word lists and patterns, nothing of how a text looks. Both classes draw from the same texts, so that what is
written tells nothing about how it was written.
"""

from collections.abc import Callable, Sequence

import numpy as np

WORDS = {
    "en": """the of and to in is that for it was on are with they be at one have this from had not but what were when
    your said there use each which their will other about many then them these some would make like into has more two
    goods received delivery Thursday morning please return signed account enclosed regarding meeting minutes house""",
    "de": """der die und das von zu mit sich des auf für ist nicht ein eine als auch nach wie im für über wird bei
    Straße Rechnung Grüße Bürgermeister geehrte möchte Übergabe zurück schöne Größe Mühle Gemeinde Unterschrift
    Datum Zahlung erhalten Vertrag Wohnung Kündigung Schlüssel""",
    "fr": """le la les de des et que qui dans pour une avec sur pas plus par je vous nous être à été même où très
    après leur sans deux comme monsieur lettre année reçu février août garçon château mère père près déjà fenêtre
    présent témoin payé maître enregistré""",
    "es": """el los las de que y en un por con para una su al lo como más pero sus año también fue señor había niño
    calle días mañana corazón nombre firma recibo factura teléfono""",
    "it": """il di che non per una sono con del della questo anche come più alla nel città però perché signore casa
    giorno pagato ricevuta quello ogni dopo sempre""",
    "la": """et in est non ad cum quod sed qui ut per sunt ex hoc quae autem dominus regis anno sancti eius nomine
    terra omnia ecclesia quoque""",
    "nl": """de het een van en niet dat zijn met voor op aan maar ook naar deze straat brief betaald ontvangen jaar
    huis ondertekend bedrag gemeente""",
}
NAMES = """Anna Müller Jean Dupont Maria García Smith Weber Rossi de Vries Schneider O'Neill Lefèvre Kowalski Jansen
Thomas Élise Johann Peter Sofía Hughes Novak Fischer Moreau Conti Baker Yilmaz Nguyen Larsen Hofmann Clara Ortega"""
TOWNS = """Paris London Berlin Wien Zürich Madrid Roma Lyon Köln München Genève Oxford Bristol Leiden Sevilla Nancy
Trier Graz Bonn Dublin Torino Rouen Basel Mainz York Delft"""
MONTHS = """January Februar mars April mai June juillet August septembre octubre November Dezember Jan. Feb. Oct.
Déc."""
LABELS = """Name Vorname Date Datum Address Adresse Signature Unterschrift Tel. No. Nr. N° Total Summe Montant Betrag
Ref. Subject Betreff Objet Place Ort Lieu Age Profession Beruf Plz Town VAT IBAN Page Invoice Quittung Reçu"""
ITEMS = """Coffee Tee Brot Milk pain beurre Äpfel cheese Wine eau Zucker Rice oil Papier nails screws soap flour sel
Batteries Kabel timber paint"""
SYLLABLES = """ba be ber bi bo ca che ci co da de den di do du el en er es fa fe fi ga gen go ha he hi ho il in ka ke
kir la le lin lo lu ma me min mo mu na ne ni no nu on or pa pe pi po qua ra re ri ro ru sa sche se si so sta ste su ta
te ten ti to tra tu un ur va ve vi vo wa we wi xa ya ze zi zo"""
PUNCTUATION = [*[""] * 24, ",", ",", ",", ".", ".", ".", ";", ":", "!", "?", " -", ")"]
Random = np.random.Generator


def pick(random: Random, choices: Sequence[str]) -> str:
    """Choose one of *choices*."""
    return choices[int(random.integers(len(choices)))]


def made_up_word(random: Random) -> str:
    """Put two to four syllables together to a word of no language."""
    return "".join(pick(random, SYLLABLES.split()) for _ in range(random.integers(2, 5)))


def sentence(random: Random) -> str:
    """Some words of one language, now and then one that is made up, with punctuation."""
    words = WORDS[pick(random, list(WORDS))].split()
    chosen = [
        (made_up_word(random) if random.random() < 0.25 else pick(random, words)) + pick(random, PUNCTUATION)
        for _ in range(random.integers(1, 10))
    ]
    return " ".join(chosen)


def title(random: Random) -> str:
    """A few words in capitals or with capital letters."""
    words = " ".join(sentence(random).split()[:4])
    return words.upper() if random.random() < 0.6 else words.title()


def name(random: Random) -> str:
    """A person, perhaps with initials, a title or a town."""
    initial = f"{pick(random, 'ABCDEFGHJKLMNPRSTVW')}. " if random.random() < 0.3 else ""
    honour = pick(random, ["", "", "", "Mr ", "Mme ", "Dr. ", "Herr ", "Sra. "])
    tail = f", {pick(random, TOWNS.split())}" if random.random() < 0.3 else ""
    return f"{honour}{initial}{pick(random, NAMES.split())} {pick(random, NAMES.split())}{tail}"


def date(random: Random) -> str:
    """A date in one of many notations."""
    day, month, year = random.integers(1, 29), random.integers(1, 13), random.integers(1750, 2026)
    written, town = pick(random, MONTHS.split()), pick(random, TOWNS.split())
    forms = [
        f"{day}.{month}.{year}", f"{day:02}/{month:02}/{year % 100:02}", f"{year}-{month:02}-{day:02}",
        f"{day} {written} {year}", f"{town}, {day}. {written} {year}", f"le {day} {written} {year}", f"{year}",
    ]  # fmt: skip
    return pick(random, forms)


def amount(random: Random) -> str:
    """An amount of money, a quantity or a sum."""
    value = float(np.exp(random.uniform(0, 9)))
    forms = [
        f"{value:.2f}", f"{value:,.2f}", f"{value:.2f} €", f"£{value:.2f}", f"${value:,.0f}", f"{value:.0f}",
        f"{value:.0f} fr. {random.integers(100)}", f"{value:.1f} kg", f"{random.integers(100)} %",
        f"{random.integers(20)} x {value:.2f} = {random.integers(20) * value:.2f}",
    ]  # fmt: skip
    return pick(random, forms)


def receipt(random: Random) -> str:
    """A line of a receipt or an invoice: quantity, goods, price."""
    quantity = f"{random.integers(1, 13)} " if random.random() < 0.6 else ""
    gap = pick(random, [" ", "   ", " ..... ", " - "])
    return f"{quantity}{pick(random, ITEMS.split())}{gap}{amount(random)}"


def form_entry(random: Random) -> str:
    """A label of a form, alone or with its entry."""
    if random.random() < 0.5:
        return f"{pick(random, LABELS.split())}{pick(random, [':', '', ' :', '*'])}"
    return f"{pick(random, LABELS.split())}: {pick(random, [name(random), date(random), amount(random), code(random)])}"


def code(random: Random) -> str:
    """A number or a code: telephone, reference, register, post code."""
    digits = "".join(str(digit) for digit in random.integers(0, 10, 12))
    letters = "".join(pick(random, "ABCDEFGHIJKLMNOPRSTUVWXYZ") for _ in range(3))
    forms = [
        digits[:5], f"+{digits[:2]} {digits[2:5]} {digits[5:]}", f"{letters}-{digits[:4]}", digits[:2],
        f"{digits[:4]}/{digits[4:6]}", f"No. {digits[:3]}", f"{digits[:5]} {pick(random, TOWNS.split())}",
        f"{letters[0]}{digits[:3]}.{digits[3:6]}", f"{digits[:4]} {digits[4:8]} {digits[8:]}",
    ]  # fmt: skip
    return pick(random, forms)


def address(random: Random) -> str:
    """A street with its number, perhaps a town."""
    street = made_up_word(random).title() + pick(random, ["straße", " Street", "weg", " Road", "gasse", " Lane"])
    tail = f", {pick(random, TOWNS.split())}" if random.random() < 0.4 else ""
    return f"{street} {random.integers(1, 200)}{tail}"


KINDS: Sequence[tuple[float, Callable[[Random], str]]] = (
    (0.46, sentence), (0.08, title), (0.09, name), (0.08, date), (0.08, amount), (0.06, receipt),
    (0.06, form_entry), (0.05, code), (0.04, address),
)  # fmt: skip


def make_text(random: Random) -> str:
    """Draw the text of one line, never empty."""
    kind = random.choice(len(KINDS), p=[share for share, _ in KINDS])
    return KINDS[int(kind)][1](random).strip()
