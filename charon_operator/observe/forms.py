"""Tells the variants of one Deployment apart: the one that it runs as has its pods, no other has.

Reads: variants with templates, and what is known of their Deployments. Gives: what is known of each
variant; of those that a Deployment is not, what their pods would need. Never: a guess at the form
of a template that has not been seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from charon_operator import names
from charon_operator.model.body import Requirement
from charon_operator.model.form import GPU, Form, Shape
from charon_operator.model.gpu import Need
from charon_operator.model.placement import VariantSpec
from charon_operator.model.placing import Holding, VariantFacts
from charon_operator.model.targets import ScaleTargetRef
from charon_operator.model.workload import Workload

_Forms = Mapping[str, Form]


def told_apart(
    variants: Sequence[VariantSpec], found: Mapping[str, VariantFacts]
) -> dict[str, VariantFacts]:
    """What is known of each variant by itself.

    Args:
        variants: of one app.
        found: what is known of the workload of each, by name.
    """
    apart = {name: replace(one, shape=None) for name, one in found.items()}
    for forms in _shared(variants):
        apart.update(_apart(forms, found[next(iter(forms))]))
    return apart


def _shared(variants: Sequence[VariantSpec]) -> Iterator[_Forms]:
    """The forms of each Deployment."""
    found: dict[ScaleTargetRef, dict[str, Form]] = {}
    for one in variants:
        if one.template is not None:
            found.setdefault(one.scale_target_ref, {})[one.name] = one.template
    yield from found.values()


def _apart(forms: _Forms, known: VariantFacts) -> Mapping[str, VariantFacts]:
    if not isinstance(known.workload, Workload) or known.need is None:
        return dict.fromkeys(forms, replace(known, shape=None))
    if known.shape is None:
        # It has changed, and its template is still to be seen.
        return dict.fromkeys(forms, replace(known, workload=None))
    live = next((name for name, one in forms.items() if known.shape.is_in(one)), None)
    if live is None:
        return _in_no_form(forms, known, known.shape, known.workload)
    if dict(known.need.requests).get(GPU, 0) != forms[live].gpus:
        container = forms[live].container
        problem = f"another container of {known.workload.target} than {container} asks for {GPU}"
        known = replace(known, problem=f"{problem}: leave that to {container}")
    return {
        name: known if name == live else _not_there(known, (forms[live], one))
        for name, one in forms.items()
    }


def _in_no_form(
    forms: _Forms, known: VariantFacts, shape: Shape, workload: Workload
) -> Mapping[str, VariantFacts]:
    container = next(iter(forms.values())).container
    problem = (
        f"{workload.target} is in the form of none of its variants ({_said(shape, container)}): "
        f"give its pod template the form of {' or '.join(forms)}"
    )
    first, *others = forms
    found = {name: _not_there(known, None) for name in others}
    return {name: replace(one, problem=problem) for name, one in {first: known, **found}.items()}


def _said(shape: Shape, container: str) -> str:
    gpus = dict(shape.gpus).get(container)
    asks = f"no container {container}" if gpus is None else f"{container} asks for {gpus} {GPU}"
    product = f"{names.LABEL_GPU_PRODUCT} {shape.product or 'not selected'}"
    return f"{asks}, {product}, runtimeClassName {shape.runtime_class or 'not set'}"


def _not_there(known: VariantFacts, forms: tuple[Form, Form] | None) -> VariantFacts:
    """A variant that the Deployment is not, and what its pods would need.

    Args:
        known: of the Deployment.
        forms: the one it is in, and the variant's; None where it is in none.
    """
    assert isinstance(known.workload, Workload)
    assert known.need is not None
    none = replace(
        known.workload, replicas=0, current=0, ready=0, updated=0, replica_failure="",
        last_scaler="",
    )  # fmt: skip
    need = _needed(known.need, *forms) if forms else known.need
    return replace(known, workload=none, need=need, holding=Holding())


def _needed(need: Need, live: Form, other: Form) -> Need:
    """What pods need once they are made in another form."""
    amounts = {**dict(need.requests), GPU: other.gpus}
    terms = tuple(_selecting(term, live.product, other.product) for term in need.terms)
    requests = tuple(sorted((name, count) for name, count in amounts.items() if count))
    return replace(need, requests=requests, terms=terms, runtime_class=other.runtime_class_name)


def _selecting(term: tuple[Requirement, ...], before: str, product: str) -> tuple[Requirement, ...]:
    # The node selector's requirement is in every term, before those of the affinity.
    kept = list(term)
    if before:
        kept.remove(_selected(before))
    return (*([_selected(product)] if product else []), *kept)


def _selected(product: str) -> Requirement:
    return Requirement(names.LABEL_GPU_PRODUCT, "In", frozenset([product]))
