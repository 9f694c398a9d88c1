"""Names, places and wordings that the demonstration's people and invoices are made of."""

from __future__ import annotations

FIRST_NAMES = (
    "Maria", "Jose", "Juan", "Ana", "Angelo", "Bea", "Carlo", "Cristina", "Danilo", "Divina", "Eduardo", "Elena",
    "Fatima", "Francis", "Gemma", "Gilbert", "Hannah", "Henry", "Imelda", "Ian", "Jasmine", "Jericho", "Joy", "Karen",
    "Kenneth", "Liza", "Lorenzo", "Mark", "Marites", "Nathaniel", "Nicole", "Omar", "Olivia", "Paolo", "Patricia",
    "Ramon", "Rowena", "Samantha", "Sergio", "Teresa", "Tomas", "Victor", "Vilma", "Wendy", "Xander", "Yolanda",
    "Zenaida", "José María", "Niña", "Renée", "Søren", "Ángela", "李", "Мария", "Nguyễn", "O'Neil",
)  # fmt: skip
SURNAMES = (
    "Santos", "Reyes", "Cruz", "Bautista", "Ocampo", "Garcia", "Mendoza", "Torres", "Tomas", "Andrada", "Castillo",
    "Flores", "Villanueva", "Ramos", "Castro", "Rivera", "Aquino", "Navarro", "Salazar", "Mercado", "Dela Cruz",
    "De Guzman", "San Jose", "Del Rosario", "Pascual", "Santiago", "Soriano", "Valdez", "Domingo", "Lim", "Tan", "Sy",
    "Chua", "Uy", "Go", "Dizon", "Manalo", "Tolentino", "Aguilar", "Ferrer", "Muñoz", "Peña", "Ibañez", "Zuñiga",
    "小龙", "Smith", "Öztürk", "D'Souza", "Van der Berg", "Kowalski",
)  # fmt: skip
# Spelled so that the name is harmful where it is not escaped: pages, CSV files, SQL built from strings.
HOSTILE_NAMES = (
    ("<script>alert(1)</script>", "O'Hara; drop table users; --"),
    ("=cmd|' /C calc'!A0", 'Quote " Comma, Tab\tEnd'),
    ("\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16} Emoji \N{GRINNING FACE}", "\N{RIGHT-TO-LEFT OVERRIDE}desrever"),
)
EMAIL_DOMAINS = ("gmail.com", "gmail.com", "gmail.com", "yahoo.com", "yahoo.com.ph", "outlook.com", "icloud.com")

P2P_DESCRIPTIONS = (
    "Papers to Profits Course",
    "Papers to Profits Course",
    "PAPERS TO PROFITS - Full Access",
    "papers to profits (early bird promo)",
    "Enrollment: Papers To Profits, lifetime access",
    # Two products' words in one description: priority decides, and it is the course.
    "Papers to Profits with free Canva templates",
)
CANVA_DESCRIPTIONS = (
    "Canva Ebook",
    "Canva Ebook",
    "CANVA e-book bundle",
    "The canva Business Ebook (PDF)",
    "Ebook - Earn with Canva",
)
OTHER_DESCRIPTIONS = ("Consultation call, 1 hour", "Notebook and pen set", "Workshop seat, Cebu", None)

OTHER_TAGS = ("FBInviteSent", "Newsletter", "Webinar 2024", "VIP", "Refund requested", "Old list import")
LOCALES = ("en", "en", "en", "fil", "es")
COUNTRIES = ("PH", "PH", "PH", "PH", "SG", "AE", "US", None)
SOURCE_URLS = (
    "https://learn.example.com/papers-to-profits",
    "https://learn.example.com/canva-ebook?utm_source=facebook&utm_campaign=launch",
    "https://learn.example.com/free-webinar",
    None,
)
