from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kiban.domain.learning import Weights
from kiban.domain.release import Release, ZoneAdapter
from kiban.errors import BadWeights, NoEffect, NoParity
from kiban.release import deploy
from kiban.release.deploy import Deployed, converge, shelve
from kiban.testing import MemoryAdapterHost, write_adapter


@pytest.fixture
def host() -> MemoryAdapterHost:
    return MemoryAdapterHost()


def put(source: Weights, host: MemoryAdapterHost, tmp_path: Path, label: str = "everyone") -> Deployed:
    return deploy.deploy(label, source, host, verify=Weights.of, shelf=tmp_path / "shelf", base_model="base")


def test_a_deployed_adapter_is_listed_under_a_name_that_carries_its_hash(
    host: MemoryAdapterHost, tmp_path: Path
) -> None:
    source = write_adapter(tmp_path / "out", strength=0.1)
    deployed = put(source, host, tmp_path)
    assert deployed.name == f"everyone@{source.sha256[:8]}"
    assert host.adapters() == {deployed.name}
    assert deployed.weights == Weights(tmp_path / "shelf" / deployed.name, source.sha256)
    assert deployed.effect > 0.1


def test_the_copy_on_the_shelf_is_read_only_and_outlives_the_training_folder(
    host: MemoryAdapterHost, tmp_path: Path
) -> None:
    source = write_adapter(tmp_path / "out", strength=0.1)
    shelved = put(source, host, tmp_path).weights.path
    modes = {path.stat().st_mode & 0o222 for path in (shelved, *shelved.iterdir())}
    assert modes == {0}
    (source.path / "adapter_model.safetensors").write_bytes(b"other")
    assert Weights.of(shelved).sha256 == source.sha256


def test_deploying_again_copies_and_loads_nothing(host: MemoryAdapterHost, tmp_path: Path) -> None:
    source = write_adapter(tmp_path / "out", strength=0.1)
    assert put(source, host, tmp_path) == put(source, host, tmp_path)
    assert host.loads == 1
    assert len(os.listdir(tmp_path / "shelf")) == 1


def test_many_may_shelve_the_same_weights_at_once(tmp_path: Path) -> None:
    source = write_adapter(tmp_path / "out", strength=0.1)
    with ThreadPoolExecutor(8) as people:
        shelved = set(people.map(lambda _: shelve(source, tmp_path / "shelf" / "a", Weights.of), range(16)))
    assert shelved == {Weights(tmp_path / "shelf" / "a", source.sha256)}
    assert os.listdir(tmp_path / "shelf") == ["a"]


def test_an_adapter_that_changes_nothing_is_caught_though_the_server_took_it(
    host: MemoryAdapterHost, tmp_path: Path
) -> None:
    with pytest.raises(NoEffect):
        put(write_adapter(tmp_path / "out", strength=0.0), host, tmp_path)
    assert host.adapters()


def test_one_server_that_ignores_the_adapter_does_not_hide_among_others(tmp_path: Path) -> None:
    class TwoServers(MemoryAdapterHost):
        def logprobs(self, model: str, prompts: Sequence[str]) -> list[list[float]]:
            return super().logprobs(model, prompts) + super().logprobs(self.base_model, prompts)

    with pytest.raises(NoEffect):
        put(write_adapter(tmp_path / "out", strength=0.5), TwoServers(), tmp_path)


def test_a_change_within_the_noise_of_the_base_model_is_no_effect(tmp_path: Path) -> None:
    class Noisy(MemoryAdapterHost):
        calls = 0

        def logprobs(self, model: str, prompts: Sequence[str]) -> list[list[float]]:
            self.calls += 1
            jitter = 0.5 * self.calls
            return [[value + jitter for value in tokens] for tokens in super().logprobs(model, prompts)]

    with pytest.raises(NoEffect):
        put(write_adapter(tmp_path / "out", strength=0.001), Noisy(), tmp_path)


def test_probabilities_that_are_not_numbers_are_refused(host: MemoryAdapterHost, tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="not numbers"):
        put(write_adapter(tmp_path / "out", strength=float("nan")), host, tmp_path)


def test_an_adapter_the_server_accepts_and_forgets_is_not_deployed(tmp_path: Path) -> None:
    class Forgetful(MemoryAdapterHost):
        def adapters(self) -> set[str]:
            return set()

    with pytest.raises(NoEffect, match="does not list"):
        put(write_adapter(tmp_path / "out", strength=0.1), Forgetful(), tmp_path)


def test_weights_that_changed_since_they_were_named_are_refused(
    host: MemoryAdapterHost, tmp_path: Path
) -> None:
    source = write_adapter(tmp_path / "out", strength=0.1)
    whole = (source.path / "adapter_model.safetensors").read_bytes()
    (source.path / "adapter_model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadWeights, match="hash"):
        put(source, host, tmp_path)
    assert not host.adapters()


def test_a_truncated_file_is_refused_even_under_its_own_hash(host: MemoryAdapterHost, tmp_path: Path) -> None:
    source = write_adapter(tmp_path / "out", strength=0.1)
    whole = (source.path / "adapter_model.safetensors").read_bytes()
    (source.path / "adapter_model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadWeights):
        put(Weights.of(source.path), host, tmp_path)


def test_what_is_not_fit_to_serve_is_neither_copied_nor_loaded(
    host: MemoryAdapterHost, tmp_path: Path
) -> None:
    def refuse(path: Path) -> Weights:
        raise BadWeights("DoRA")

    with pytest.raises(BadWeights, match="DoRA"):
        deploy.deploy(
            "everyone",
            write_adapter(tmp_path / "out", strength=0.1),
            host,
            verify=refuse,
            shelf=tmp_path / "shelf",
            base_model="base",
        )
    assert host.loads == 0
    assert not (tmp_path / "shelf").exists()


@pytest.mark.parametrize("label", ["../up", "a/b", "", "a b", "．．"])
def test_a_label_that_could_lead_elsewhere_is_refused(
    host: MemoryAdapterHost, tmp_path: Path, label: str
) -> None:
    with pytest.raises(BadWeights, match="name"):
        put(write_adapter(tmp_path / "out", strength=0.1), host, tmp_path, label)


def released(deployed: Deployed) -> Release:
    weights = deployed.weights
    return Release(
        "qwen", deployed.name, str(weights.path), weights.sha256, "e5", "e" * 64, 1, "p1", "curriculum"
    )


def test_what_a_restarted_server_forgot_is_loaded_again(host: MemoryAdapterHost, tmp_path: Path) -> None:
    release = released(put(write_adapter(tmp_path / "out", strength=0.1), host, tmp_path))
    assert not converge(release, host, base_model="base")
    host.restart()
    assert converge(release, host, base_model="base")
    assert release.adapter in host.adapters()


def test_an_adapter_that_stopped_applying_is_noticed_though_it_is_listed(
    host: MemoryAdapterHost, tmp_path: Path
) -> None:
    release = released(put(write_adapter(tmp_path / "out", strength=0.1), host, tmp_path))
    host._strengths[str(release.adapter)] = 0.0  # as vLLM after sleeping
    with pytest.raises(NoEffect):
        converge(release, host, base_model="base")


def test_a_shelf_somebody_wrote_to_is_not_loaded_again(host: MemoryAdapterHost, tmp_path: Path) -> None:
    deployed = put(write_adapter(tmp_path / "out", strength=0.1), host, tmp_path)
    host.restart()
    deployed.weights.path.chmod(0o755)
    (deployed.weights.path / "more.json").write_text("{}", "utf-8")
    with pytest.raises(BadWeights, match="hash"):
        converge(released(deployed), host, base_model="base")


def test_the_base_release_needs_no_adapter(host: MemoryAdapterHost) -> None:
    base = Release("qwen", None, None, None, "e5", "e" * 64, 1, "p1", None)
    assert not converge(base, host, base_model="base")


def test_the_adapters_of_all_zones_are_loaded_and_each_is_shown_to_apply(
    host: MemoryAdapterHost, tmp_path: Path
) -> None:
    everyone, hr, lab = (
        put(write_adapter(tmp_path / name, strength), host, tmp_path, name)
        for name, strength in (("everyone", 0.1), ("zone-hr", 0.2), ("zone-lab", 0.3))
    )
    release = released(everyone)
    for group, deployed in (("hr", hr), ("lab", lab)):
        weights = deployed.weights
        release = release.with_zone(
            ZoneAdapter((group,), deployed.name, str(weights.path), weights.sha256, group)
        )
    host.restart()
    assert converge(release, host, base_model="base")
    assert host.adapters() == {everyone.name, hr.name, lab.name}
    host.restart()
    host.load(hr.name, hr.weights.path)
    host._strengths[hr.name] = 0.0
    with pytest.raises(NoEffect, match="zone-hr"):
        converge(release, host, base_model="base")
    assert host.adapters() == {everyone.name, hr.name, lab.name}  # one that fails does not keep others away


def judged(host: MemoryAdapterHost, release: Release) -> dict[str, deploy.Probabilities]:
    return {str(release.adapter_sha256): deploy.probabilities(host, str(release.adapter))}


def test_what_answers_is_what_was_judged_and_drift_is_refused(
    host: MemoryAdapterHost, tmp_path: Path
) -> None:
    release = released(put(write_adapter(tmp_path / "out", strength=0.1), host, tmp_path))
    known = judged(host, release)
    converge(release, host, base_model="base", judged=known)
    host._strengths[str(release.adapter)] += 0.04 / 8  # within what machines differ by
    converge(release, host, base_model="base", judged=known)
    host._strengths[str(release.adapter)] += 1.0  # still has an effect, but not the one that was judged
    with pytest.raises(NoParity):
        converge(release, host, base_model="base", judged=known)


def test_one_server_with_other_weights_does_not_hide_among_others(
    host: MemoryAdapterHost, tmp_path: Path
) -> None:
    release = released(put(write_adapter(tmp_path / "out", strength=0.1), host, tmp_path))
    known = judged(host, release)

    class TwoServers(MemoryAdapterHost):
        def logprobs(self, model: str, prompts: Sequence[str]) -> list[list[float]]:
            right = host.logprobs(model, prompts)
            return right + [[value + 0.3 * (model != "base") for value in tokens] for tokens in right]

    two = TwoServers()
    two.load(str(release.adapter), Path(str(release.adapter_path)))
    with pytest.raises(NoParity):
        converge(release, two, base_model="base", judged=known)


def test_prompts_with_other_tokens_than_were_judged_are_no_parity(
    host: MemoryAdapterHost, tmp_path: Path
) -> None:
    release = released(put(write_adapter(tmp_path / "out", strength=0.1), host, tmp_path))
    known = {sha: [tokens[:-1] for tokens in each] for sha, each in judged(host, release).items()}
    with pytest.raises(NoParity, match="other tokens"):
        converge(release, host, base_model="base", judged=known)


def test_releases_one_may_return_to_stay_loaded(host: MemoryAdapterHost, tmp_path: Path) -> None:
    releases = [
        released(put(write_adapter(tmp_path / f"out-{n}", strength=0.1 * n), host, tmp_path)) for n in (1, 2)
    ]
    host.restart()
    assert deploy.keep_resident(releases, host) == 2
    assert host.adapters() == {str(release.adapter) for release in releases}
    assert deploy.keep_resident(releases, host) == 0
