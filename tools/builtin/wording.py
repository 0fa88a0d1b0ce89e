"""Sentences the text tower learns from, and its tokenizer."""

import argparse

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from model import CONFIG
from parts import PARTS
from real import KINDS
from textures import SURFACES

TEMPLATES = """{}|a {}|the {}|{}.|a {}.|the {}.|a photo of {}.|a photo of a {}.|a photo of the {}.|a cropped photo of a {}.
a close-up photo of the {}.|a bright photo of a {}.|a dark photo of the {}.|a blurry photo of a {}.|a jpeg corrupted photo of the {}.
a photo of a large {}.|a photo of the small {}.|a photo of a {} for visual inspection.|a photo of the {} for anomaly detection.
an image of {}.|a picture of the {}.|a close-up of {}.|a top view of the {}.|a low resolution photo of a {}.""".replace("\n", "|").split("|")

NORMAL = """{}|flawless {}|perfect {}|unblemished {}|intact {}|good {}|normal {}|clean {}|undamaged {}|new {}|{} without flaw
{} without defect|{} without damage|{} without scratch|{} without crack|{} without contamination|{} in good condition
healthy {}|unremarkable {}|{} without lesion|{} without tumor|{} without disease|{} without abnormality""".replace("\n", "|").split("|")

ABNORMAL = """damaged {}|broken {}|imperfect {}|blemished {}|defective {}|faulty {}|abnormal {}|bad {}|cracked {}|scratched {}|bent {}
dirty {}|stained {}|contaminated {}|torn {}|{} with flaw|{} with defect|{} with damage|{} with scratch|{} with crack|{} with a crack
{} with contamination|{} with a hole|{} with a stain|{} with a scratch|{} with a dent|{} with a missing part|{} with broken edge
anomalous {}|diseased {}|pathological {}|{} with lesion|{} with tumor|{} with polyp|{} with hemorrhage|{} with disease|{} with abnormality
misplaced {}|deformed {}|corroded {}|rusty {}|chipped {}|worn {}""".replace("\n", "|").split("|")

# Parts and surfaces people inspect, with no picture of ours behind them.
THINGS = """bottle|dark bottle|glass bottle|cable|three cables|top view of three cables|capsule|black and orange capsule|carpet|gray carpet
grid|metal or plastic mesh|wire mesh|hazelnut|single brown hazelnut|leather|brown leather|metal nut|metal nut which has four notched edges
pill|oval white pill with small red speckles and the letters engraved|screw|tile|speckled tile surface|transistor
three-legged transistor placed vertically|toothbrush|toothbrush head|wood|wood surface|zipper|black zipper|candle|pcb|infrared sensor pcb module
capsules|pipe-shaped fryum|battery charging pcb module|scattered yellow macaroni|integrated circuits board|chewing gum|orange macaroni|cashew nut
wheel-shaped fryum snack|ultrasonic distance sensor pcb module|metal clamps with black adjustment knobs|connector|tubes|scattered metal objects
metal plate|bracket|painted metal bracket|concrete|concrete wall|asphalt|road surface|pavement|steel|steel strip|rolled steel|rail|weld|weld seam
casting|cast iron part|pump impeller|brake disc|bearing|spring|gear|magnetic tile|solar cell|solar panel|wafer|silicon wafer|glass|display|phone screen
fabric|textile|denim|silk|cotton|felt|paper|cardboard|box|label|package|foil|film|rubber|rubber seal|o-ring|plastic part|plastic cap|lid|can
juice bottle|food|snack|biscuit|bread|fruit|apple|vegetable|egg|rice|bean|nut|seed|chocolate|candy|vial|syringe|tablet|blister pack|needle|toy|brick
ceramic|ceramic plate|cup|plate|bowl|marble|granite|stone|gravel|foam|sponge|rope|wire|fuse|switch|plug|socket|battery|resistor|capacitor|chip|lens
pipe|hose|valve|washer|bolt|nail|hinge|key|coin|pen|brush|scan|head ct|brain ct|brain|liver|retina|skin|colon|colon endoscopy image|object|surface|part
machine part|product|thing|item|wall|floor|roof|car|car door|paint|wheel|tire|shoe|glove|bag|button|thread""".replace("\n", "|").split("|")


def imagenet():
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    return [name.lower() for name in _IMAGENET_CATEGORIES]


def pictured():
    """The objects in our own pictures."""
    return sorted({*SURFACES, *PARTS, *(name for name, _ in KINDS.values())})


def sentences():
    names = imagenet() + pictured() + THINGS
    for name in names:
        yield from (t.format(name) for t in TEMPLATES[:4])
    for state in NORMAL + ABNORMAL:
        yield from (t.format(state.format(THINGS[i % len(THINGS)])) for i, t in enumerate(TEMPLATES * 4))


def make_tokenizer(vocabulary):
    """Byte-level BPE of lower-case words; the end token has the largest id, as CLIP's has."""
    start, end = "<|startoftext|>", "<|endoftext|>"
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    # Padding is zero; id 0 is an ordinary symbol, which causality keeps out of every sentence.
    while tokenizer.get_vocab_size() < vocabulary - 2:
        tokenizer.add_tokens([f"<|unused{tokenizer.get_vocab_size()}|>"])
    tokenizer.add_special_tokens([start, end])
    ids = [(t, tokenizer.token_to_id(t)) for t in (start, end)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{start} $A {end}", special_tokens=ids)
    assert ids[1][1] == vocabulary - 1
    return tokenizer


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--out", default="target/builtin/tokenizer.json")
    a = a.parse_args()
    tokenizer = make_tokenizer(CONFIG["model_cfg"]["text_cfg"]["vocab_size"])
    tokenizer.save(a.out)
    for text in ("a photo of a damaged metal nut.", "the speckled tile surface without flaw"):
        print(text, tokenizer.encode(text).tokens)


if __name__ == "__main__":
    main()
