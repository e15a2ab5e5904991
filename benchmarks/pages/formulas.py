"""LaTeX as MathML, which browsers typeset by themselves: formulas need neither scripts nor the network."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx

__all__ = ["setup"]

#: What docutils takes as it stands, where LaTeX would have a bar escaped.
NAME = re.compile(r"\\operatorname\{[^}]*\}")


def inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(latex2mathml.tex2mathml(node.astext()))
    raise nodes.SkipNode


def block(translator: Any, node: nodes.math_block) -> None:
    lines = node.astext().strip().removeprefix(r"\begin{aligned}").removesuffix(r"\end{aligned}")
    lines = NAME.sub(lambda found: found[0].replace(r"\_", "_"), lines)
    formula = latex2mathml.tex2mathml(lines, as_block=True)  # which aligns them by itself, and as large as a display
    translator.body.append(f'<div class="formula">{formula}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
