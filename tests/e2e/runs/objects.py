"""ScaledObjects that are edited, paused and deleted: streamgauge follows within seconds."""

import time

from objects import Workload, scaled_object, streamgauge
from runs import run
from scene import Run

GROUP = "autoscaling.keda.sh"


@run("objects", minutes=4)
def objects(run: Run) -> None:
    """Deleting, editing and pausing a ScaledObject is followed within seconds; metricType Value is warned of."""
    kept, value = run.new_name("kept"), run.new_name("value")
    trigger = streamgauge(run.ports, kept, capacityPerReplica=50)
    workload = Workload("kept", [trigger], [kept])
    warned = Workload("value", [{**streamgauge(run.ports, value, capacityPerReplica=50), "metricType": "Value"}], [value])
    with run.scene([workload, warned]) as scene:
        scene.start_load("100:150")
        scene.until_steady("kept", 2, seconds=60)
        _value(run, scene)
        _edit(run, scene, workload)
        _pause(run, scene)
        _delete(run, scene)


def _value(run: Run, scene) -> None:
    found = run.service.target("value") or {}
    said = [*found.get("warnings", []), found.get("text", ""), *scene.events("value")]
    about = [text for text in said if "Value" in text]
    run.check("metricType: Value is warned of", about, about[0][:300] if about else f"warnings {found.get('warnings')}")


def _edit(run: Run, scene, workload: Workload) -> None:
    workload.triggers[0]["metadata"]["targetDelay"] = "20s"
    run.api.apply(scaled_object(workload))
    scene.timeline.mark("targetDelay edited to 20s")
    scene.wait(20)
    mine = [each for each in run.service.targets() if each["scaled_object"].startswith("shop/kept")]
    labels = [each["scaled_object"] for each in mine]
    fresh = [each for each in mine if float(each["policy"].get("target_delay_seconds", 0)) == 20]
    run.check("an edited trigger keeps its label", fresh and fresh[0]["scaled_object"] == "shop/kept", f"{labels}")
    exported = [line for line in run.service.text("/metrics").splitlines() if 'scaled_object="shop/kept#' in line]
    run.check("no series with #n", not exported, exported[:1] or "none")


def _pause(run: Run, scene) -> None:
    def seen() -> str:
        return str(((run.service.target("kept") or {}).get("kubernetes") or {}).get("paused"))

    for annotation, value, expected in (
        ("paused-replicas", "4", "4"),
        ("paused-replicas", None, "None"),
        ("paused", "true", "as_it_is"),
        ("paused", None, "None"),
    ):
        run.api.annotate("ScaledObject", "shop", "kept", {f"{GROUP}/{annotation}": value})
        began = time.monotonic()
        what = f"{annotation} {value or 'removed'}"
        scene.until(f"{what} is seen", lambda expected=expected: expected in seen(), 45)
        took = round(time.monotonic() - began, 1)
        run.check(f"{what} is seen within 5 s", expected in seen() and took <= 5, f"{took} s: {seen()}")


def _delete(run: Run, scene) -> None:
    def exported() -> list[str]:
        return [line for line in run.service.text("/metrics").splitlines() if 'scaled_object="shop/kept' in line]

    before = len(exported())
    run.api.delete("ScaledObject", "shop", "kept")
    scene.timeline.mark("the ScaledObject is deleted")
    took = scene.until("its series are gone", lambda: not exported(), 40)
    passed = before and took is not None and took <= 10
    run.check("a deleted ScaledObject leaves /metrics within 10 s", passed, f"{before} series, gone after {took} s")
