"""What the Methods page says: what the atlas shows, the words, the formulas and their limits."""

from __future__ import annotations

import re
from dataclasses import dataclass

import streamlit as st

from lsn_core.analysis.findings import READING, read_findings, sentences
from lsn_core.errors import LsnError
from lsn_core.ui import states
from lsn_core.ui.view import View
from lsn_core.viz.labels import scope_name, task_name


@dataclass(frozen=True)
class Section:
    """A heading and the Markdown below it; formulas between dollar signs."""

    heading: str
    text: str


SECTIONS = (
    Section(
        "The question",
        """
A multilingual language model has one set of weights for all its languages. For one language and one task, many
of them can be removed without much loss. What is left is that language's **sub-network**. Where the sub-networks
of two languages keep the same weights, the model uses the same part of itself for both; where they differ, it
has something that belongs to one.
""",
    ),
    Section(
        "How a sub-network is found",
        """
Iterative magnitude pruning with rewinding, as in Foroutan et al.,
[*Discovering Language-neutral Sub-networks in Multilingual Language Models*](https://aclanthology.org/2022.emnlp-main.513/)
(EMNLP 2022). For every language, task and seed, round by round:

1. start from the pretrained weights, the task's head included, with all weights removed so far at zero;
2. train on the language's text; a removed weight stays zero;
3. remove the weights with the smallest absolute value, over all prunable matrices together, until another tenth
   of the original weights is gone;
4. put what is left back to its pretrained value.

Prunable are the matrices inside the transformer layers; never embeddings, normalisation, biases or the head. The
score at a sparsity is that of the sub-network trained from the pretrained weights under its mask. The
**unpruned model** (*dense* in tables) is trained the same way without a mask. Controls: **random** keeps as many weights in every matrix, but
any; **base** keeps the largest pretrained weights and has seen no language at all.
""",
    ),
    Section(
        "How alike two sub-networks are",
        r"""
Let $A$ and $B$ be the weights that two sub-networks of the same sparsity keep. Counts are summed over the part
of the model that is looked at, matrix by matrix ($m$, with $n_m$ weights), before any ratio is taken.

- **Jaccard** $J = \lvert A \cap B\rvert \,/\, \lvert A \cup B\rvert$: the weights that both keep, out of those that
  either keeps.
- **Chance** $\mathrm{E}\,\lvert A \cap B\rvert = \sum_m a_m b_m / n_m$: what two unrelated masks of these densities
  would share.
- **Reference** (*pretrained alone* on the pages) $\mathrm{E}\,\lvert A \cap B\rvert = \sum_m \left(\frac{a_{1m} b_{1m}}{\lvert R_m\rvert} + \frac{a_{0m} b_{0m}}{\lvert R^c_m\rvert}\right)$:
  what they would share if all they had in common were the pretrained magnitudes. $R$ is the base mask and
  $R^c$ the weights that it removes; $a_1$ and $a_0$ count the weights of $A$ inside and outside of it, $b_1$ and $b_0$
  those of $B$, each in matrix $m$.
- **Ceiling** (*same language* on the pages) $J_{\mathrm{ceil}}$: the Jaccard index of one language with itself under another seed, as alike as two
  sub-networks get here.
- **Neutrality** $N = (J - J_{\mathrm{ref}}) \,/\, (J_{\mathrm{ceil}} - J_{\mathrm{ref}})$: 0 is nothing shared beyond the
  pretrained magnitudes, 1 is as alike as the language is to itself.

A Jaccard near 1 says little by itself: all sub-networks are cut from the same pretrained weights, and few
change sides while training. Neutrality asks about those that do.
""",
    ),
    Section(
        "What all languages keep",
        r"""
The **core** of at least $k$ of $n$ languages holds the weights that so many of their sub-networks keep, one
sub-network a language, all of one seed; with several seeds it is counted for each and averaged.

- **Chance**: if language $l$ keeps $a_{lm}$ of the $n_m$ weights of matrix $m$ and the languages are independent,
  the number of languages that keep a weight is a sum of independent draws with chances $a_{lm}/n_m$
  (Poisson-binomial distribution).
- **Pretrained weights alone**: the same, on its own within $R_m$ and within $R^c_m$: all that the languages have in
  common is which weights were large before training.

A language keeps as many weights in both as it does in truth, so that over $k = 1, \dots, n$ the cores' differences
from either add up to zero. More weights kept by all means fewer kept by some. A core that is larger than expected
at one $k$ is smaller at another, and no single $k$ says that languages share more or less.

A core's **score** is that of the core trained by itself on each of its languages, from the pretrained weights, beside
as many weights drawn by lot and as many of the largest pretrained ones. A difference between two networks is said
to be shown only where it is more than twice what seeds change.

Between **two tasks**, sub-networks are compared as between two languages: with the same reference, and the mean of
the ceilings that each has in its own task.
""",
    ),
    Section(
        "How a tree is made and judged",
        """
The distance of two languages is 1 − $N$ or 1 − $J$; the two nearest groups are joined, again and again. Any
distances give a tree. How far to trust it:

- **Cophenetic correlation**: between the measured distances and those at which the tree joins two languages. 1 is
  a tree that says all there is.
- **Support** of a group: the share of draws of seeds and matrices whose tree has this very group. Below 70 % it is
  drawn thin and faint, below 50 % called not established.
- **Robinson–Foulds distance** to the family tree: of all groups in the two trees, the share that only one has.
- **Baker's gamma**: rank correlation, over pairs of languages, of how late the two trees join them.

The last two are judged by shuffling the names over the leaves. Turning a join changes which languages stand side by side,
never the tree; so neither neighbours nor crossing lines are evidence.
""",
    ),
    Section(
        "How sure a number is",
        """
Intervals come from drawing seeds and matrices again with replacement, never single weights, which are not
independent of each other: 95 % of the draws lie inside. A group in the tree carries the share of draws that have
it. Tests permute the languages' labels: *p* is the share of permutations, the observed one among them, that
reach what was observed; where many are made, they are adjusted for that (Benjamini and Hochberg).
""",
    ),
    Section(
        "What to be careful about",
        """
- Intervals cover seeds and matrices, not the choice of text: another corpus is another experiment.
- With two seeds, the spread between seeds comes out too small, and that of the ceiling is not covered at all.
- With one seed there is no ceiling. Neutrality is then undefined and left empty.
- A sub-network found after few training steps lies close to the base mask: neutrality then rests on the few
  weights that changed sides.
- Weights that were tied or exactly zero at the start are ordered by their position; where a model has many of
  them, reference and ceiling share them too.
- Two languages that share words and script also share training text in part; that shows as overlap.
- Missing is missing: an empty or grey cell was not measured and is never counted as zero.
""",
    ),
)


def show_findings(content: View | states.Trouble) -> None:
    """What was measured in the atlas, in words; nothing where there is no atlas or no finding."""
    if isinstance(content, states.Trouble):
        return
    atlas = content.atlas
    try:
        found = read_findings(atlas)
    except LsnError as error:
        st.warning(f"{states.without_folder(str(error), atlas.path)}.")
        return
    if found is None or found.empty:
        return
    st.header(f"What atlas {atlas.name} shows", anchor="findings")
    st.caption(_readable(READING))
    told = sentences(found, lambda scope: scope_name(scope).lower())
    st.markdown("\n".join(f"- {_readable(sentence)}" for sentence in told))
    st.caption(
        f"Model {atlas.model['name']}; iterative pruning, all seeds and languages. The numbers are those of the "
        "table below and hold for this model and this text."
    )
    with st.expander("Table"):
        st.dataframe(found, hide_index=True)
        st.download_button(
            "CSV", found.to_csv(index=False), f"{atlas.name}-findings.csv", "text/csv", key="findings"
        )


def _readable(sentence: str) -> str:
    """A finding as the pages write: tasks in words, a true minus, a space before per cent at which no line ends."""

    def in_words(found: re.Match[str]) -> str:
        first, *others = map(task_name, found[1].split(" and "))
        return f"**{' and '.join([first, *(f'{name[:1].lower()}{name[1:]}' for name in others)])}**"

    named = re.sub(r"^\*\*([^*]+)\*\*", in_words, sentence)
    return re.sub(r"(?<=\d)%", "\N{NO-BREAK SPACE}%", re.sub(r"(?<![\w.])-(?=\d)", "−", named))
