"""Texts that tokenizers are trained on and compared with: words, numbers, spaces, code, scripts, combining marks."""

TEXTS = [
    "Once upon a time there was a little fox who lived in the old forest, and every day she walked to the river.",
    "It's what they've said: I'm sure we'll see, don't you think he'd know? THEY'RE HERE, IT'S LATE.",
    "In 1997 there were 12345 people; 3.14159 is pi, 1,000,000 is a million and 0x7fff is not decimal.",
    "def add(a, b):\n    return a + b\n\n\nif __name__ == '__main__':\n\tprint(add(1, 2))  # three\n",
    "Spaces:  two   three    four     five,\ttab,\t\ttabs, newline\n\n\nthree newlines\r\nand a carriage return.   ",
    "Ein schöner Tag für Ärger über Straßenbahnen; l'été à Genève, señor, naïve façade, Žluťoučký kůň.",
    "漢字かな交じり文、日本語のテキスト。中文句子没有空格。한국어 문장입니다.",
    "Привет, как дела? Γειά σου Κόσμε. שלום עולם. مرحبا بالعالم",
    "🙂🚀 emoji 👩‍👩‍👧‍👦 family, flags 🇩🇪🇫🇷, e\u0301 combining, ﬁ ligature, ½ and Ⅷ and ² numbers, ａｂｃ wide",
    '!!!??? ... --- ***bold*** <tag attr="x">&amp;</tag> $100 + 20% = €120 @user #hash ~/path/to/file.txt',
    "CamelCaseWords snake_case_words kebab-case-words XMLHttpRequest iPhone eBay McDonald's",
]
