"""Makes the fonts beside this file from Inter's static OTF files: subset.py Inter-Regular.otf Inter-SemiBold.otf

Plotters' bitmap text drops each glyph's left side bearing. So the outlines are moved to begin at nought, and every advance
gets the font's mean bearing instead; letters then stand as far apart as they should, but for little.
"""

import os
import sys

from fontTools import subset
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTFont

LETTERS = [*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x391, 0x3CA)]
SIGNS = [ord(sign) for sign in "\u2009\u202f‐‑‒–—‘’“”•…‰←↑→↓↔↻−≈≠≤≥∞○●■□✓✗"]
FAMILY = "Finwait Sans"

for source, style in zip(sys.argv[1:3], ("Regular", "Bold")):
    font = TTFont(source)
    options = subset.Options()
    options.layout_features = []
    options.hinting = False
    options.name_IDs = [0, 1, 2, 4, 6, 13, 14]
    options.drop_tables += ["GPOS", "GSUB", "GDEF", "STAT"]
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=LETTERS + SIGNS)
    subsetter.subset(font)

    glyphs, metrics = font.getGlyphSet(), font["hmtx"].metrics
    strings = font["CFF "].cff.topDictIndex[0].CharStrings
    bearings = [metrics[name][1] for code, name in font.getBestCmap().items() if chr(code).isalnum()]
    mean = round(sum(bearings) / len(bearings))
    moved = {}
    for name in font.getGlyphOrder():
        advance, bearing = metrics[name]
        pen = T2CharStringPen(advance, glyphs)
        glyphs[name].draw(TransformPen(pen, (1, 0, 0, 1, -bearing, 0)))
        old = strings[name]
        moved[name] = pen.getCharString(old.private, old.globalSubrs)
        if bearing:
            metrics[name] = (advance - bearing + mean, 0)
    for name, string in moved.items():
        strings[name] = string

    names = {1: FAMILY, 2: style, 4: f"{FAMILY} {style}", 6: f"FinwaitSans-{style}"}
    for record in font["name"].names:
        if record.nameID in names:
            record.string = names[record.nameID]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"FinwaitSans-{style}.otf")
    font.save(path)
    print(path, os.path.getsize(path))
