#!/usr/bin/env python3
"""Holds the dashboards against Grafana's own types: `check-types.py TOOLS`, the folder with node_modules.

Options of panels are held against those of their kind. Annotations are left out: their type knows no PromQL.
"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
TYPES = "./node_modules/@grafana/schema/dist/types/raw"
KINDS = {
    "heatmap": ("heatmap", "HeatmapPanelCfg"),
    "stat": ("stat", "StatPanelCfg"),
    "state-timeline": ("statetimeline", "StateTimelinePanelCfg"),
    "timeseries": ("timeseries", "TimeSeriesPanelCfg"),
    "bargauge": ("bargauge", "BarGaugePanelCfg"),
}
# What JSON has in the place of an enum of TypeScript: its text.
PLAIN = (
    "type Plain<T> = T extends string ? `${T}` : T extends number ? T "
    ": T extends object ? { [K in keyof T]: Plain<T[K]> } : T;"
)


def typed(names):
    lines = [f'import type {{ Dashboard, Panel }} from "{TYPES}/dashboard/x/dashboard_types.gen";', PLAIN]
    for folder, file in KINDS.values():
        path = f"{TYPES}/composable/{folder}/panelcfg/x/{file}_types.gen"
        lines.append(f'import type {{ Options as {folder}Options }} from "{path}";')
    for path in names:
        name = path.stem.replace("-", "_")
        dashboard = json.loads(path.read_text())
        panels = dashboard.pop("panels")
        dashboard.pop("annotations")
        lines.append(f"export const {name}: Plain<Dashboard> = {json.dumps(dashboard)};")
        for n, panel in enumerate(panels):
            options = panel.pop("options")
            kind = KINDS[panel["type"]][0]
            lines.append(f"export const {name}_{n}: Plain<Panel> = {json.dumps(panel)};")
            lines.append(f"export const {name}_{n}_options: Plain<{kind}Options> = {json.dumps(options)};")
    return "\n".join(lines) + "\n"


def main():
    tools = pathlib.Path(sys.argv[1])
    file = tools / "dashboards.ts"
    file.write_text(typed(sorted((ROOT / "dashboards").glob("*.json"))))
    compiler = [
        "node_modules/.bin/tsc", "--noEmit", "--strict", "--skipLibCheck",
        "--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022", file.name,
    ]
    sys.exit(subprocess.run(compiler, cwd=tools).returncode)


if __name__ == "__main__":
    main()
