"""``plaque-edge train``: samples, the three networks, export, and a smoke test for CI."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

HELP = """examples:
  plaque-edge train all                        everything below, from nothing to engines/models
  plaque-edge train samples --data runs/train --count 300
  plaque-edge train walls --data runs/train    the patient's healthy wall, beside every sample
  plaque-edge train heart|tree|wall --data runs/train --out runs/wall --steps 12000
  plaque-edge train export wall --out runs/wall --to engines/models/wall
  plaque-edge train calibrate wall --count 20  chosen on validation phantoms, into its model.toml
  plaque-edge train variants --count 8         f16 and int8 files of all, and what they move
  plaque-edge train smoke
"""
NOTES = {
    "heart": "Finds the heart and the ascending aorta in a chest CT at 3 mm.",
    "tree": "PlaqueSegNet-edge network A: aorta, coronary arteries by name, cardiac veins "
    "at 0.8 mm.",
    "wall": "PlaqueSegNet-edge network B: lumen, wall and plaque fractions in straightened "
    "vessels.",
}
STEPS = {"heart": 900, "tree": 4000, "wall": 14000}
BATCH = {"heart": 2, "tree": 1, "wall": 2}


def main(argv: list[str]) -> int:
    """Run one training command; returns the exit code."""
    parser = argparse.ArgumentParser(
        "plaque-edge train", epilog=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = ["samples", "walls", "export", "calibrate", "variants", "smoke"]
    parser.add_argument("what", choices=["all", *NOTES, *steps])
    parser.add_argument("network", nargs="?", choices=list(NOTES), help="for export")
    parser.add_argument("--data", type=Path, help="folder of samples (runs/train)")
    parser.add_argument(
        "--out", type=Path, help="folder of checkpoints; an interrupted run goes on from it"
    )
    parser.add_argument("--to", type=Path, help="model folder to export to")
    parser.add_argument(
        "--count", type=int, help="phantoms: 300 to make samples of, 8 to measure variants on"
    )
    parser.add_argument(
        "--no-heart", action="store_true", help="samples without those of the heart finder"
    )
    parser.add_argument(
        "--preset", default="training", help="phantoms to make samples of: training or wide"
    )
    parser.add_argument("--first-seed", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rate", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--late-from", type=float, default=0.5, help="share with the early loss")
    parser.add_argument("--start", default="", help="ONNX file to start from")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model-version", default="0.1.0")
    args = parser.parse_args(argv)
    variants = args.what == "variants"
    args.count = args.count or (8 if variants else 300)
    args.data = args.data or Path("runs/variants" if variants else "runs/train")
    if args.what == "smoke":
        return smoke()
    if args.what == "export":
        return _export(args)
    if args.what == "variants":
        from engines.training.variants import FIRST_SEED, run

        return run(args.data, FIRST_SEED, args.count)
    if args.what == "calibrate":
        return _calibrate(args)
    if args.what in ("all", "samples"):
        _samples(args)
    if args.what in ("all", "walls"):
        _walls(args)
    for network in NOTES if args.what == "all" else [args.what] if args.what in NOTES else []:
        _train(network, args)
        if args.what == "all":
            _export(
                argparse.Namespace(**vars(args) | {"network": network, "out": None, "to": None})
            )
    return 0


def _samples(args: argparse.Namespace) -> None:
    from engines.training.data import write_samples

    seeds = range(args.first_seed, args.first_seed + args.count)
    write_samples(seeds, args.data, heart=not args.no_heart, preset=args.preset)


def _walls(args: argparse.Namespace) -> None:
    """Measure healthy walls with the wall network that is shipped, or that of ``--to``."""
    from engines.training.data import measure_walls
    from plaque_edge.segment.run import Engines

    with Engines("auto", models=args.to) as engines:
        measure_walls(args.data, engines.networks["wall"])


def _train(network: str, args: argparse.Namespace) -> None:
    from engines.training.train import Plan, train

    plan = Plan(
        network,
        args.steps or STEPS[network],
        args.batch or BATCH[network],
        args.rate,
        args.seed,
        args.minutes,
        args.threads,
        args.late_from,
        args.start,
    )
    out = args.out if args.out and args.what != "all" else Path("runs") / network
    train(plan, args.data, out)


def _export(args: argparse.Namespace) -> int:
    from engines.training.export import export

    if args.network is None:
        print("TRAIN_NETWORK_MISSING: name the network to export. For example: train export wall.")
        return 1
    out = args.out or Path("runs") / args.network
    target = args.to or Path("engines/models") / args.network
    print(export(args.network, out / "last.pt", target, args.model_version, NOTES[args.network]))
    return 0


def _calibrate(args: argparse.Namespace) -> int:
    from engines.training import calibrate as c

    scans = c.validation_scans(100, args.count, args.count // 2)
    reads = []
    for read in c.read(scans, "auto"):
        print(f"{read.scan.generator} {read.scan.seed}", flush=True)
        reads.append(read)
    result = c.run(reads)
    target = args.to or Path("engines/models/wall")
    why = f"Chosen on {len(reads)} phantoms of the validation seeds, two generators."
    c.write_table(target / "model.toml", result["chosen"], why)
    print(json.dumps(result, indent=1))
    return 0


def smoke(steps: int = 12) -> int:
    """Two phantoms, a few steps of every network, export, and the same numbers from ONNX Runtime.

    Passes when every loss falls or stays finite and the exported network agrees with torch.
    """
    import numpy as np
    import torch

    from engines.training.data import write_samples
    from engines.training.export import SHAPES, export
    from engines.training.net import Probabilities, build
    from engines.training.train import Plan, train

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_samples(range(900_000, 900_002), folder / "data", windows=6)
        for network in ("heart", "tree", "wall"):
            n = steps if network != "tree" else steps // 2
            last = train(Plan(network, n, 1), folder / "data", folder / network)
            first_half = torch.load(last, weights_only=True)
            assert first_half["step"] == n, "the run stopped early"
            assert all(
                torch.isfinite(v).all()
                for v in first_half["ema"].values()
                if v.dtype.is_floating_point
            )
            train(Plan(network, n + 2, 1), folder / "data", folder / network)  # resumes
            again = torch.load(last, weights_only=True)
            assert again["step"] == n + 2, "the run did not resume"
            path = export(network, last, folder / "models" / network, "smoke", "smoke test")
            x = torch.rand(SHAPES[network])
            net = build(network)
            net.load_state_dict(again["ema"])
            with torch.no_grad():
                expected = Probabilities(net).eval()(x).numpy()
            got = _run_onnx(path, x.numpy())
            worst = float(np.abs(got - expected).max())
            print(json.dumps({"network": network, "steps": again["step"], "torch_vs_onnx": worst}))
            assert worst < 1e-3, "the exported network differs from torch"
    print("training smoke test passed")
    return 0


def _run_onnx(path: Path, x: object) -> object:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": x})[0]
