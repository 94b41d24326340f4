#!/usr/bin/env bash
# Pin every requirement with its hashes: requirements/*.in -> requirements/*.txt.
# Needs uv on the PATH (or UV=path). After it: python3 run.py test.
set -euo pipefail
cd "$(dirname "$0")"
uv=${UV:-uv}
options=(--universal --generate-hashes --no-header --no-annotate --python-version 3.11
  --no-emit-index-url --no-emit-find-links --quiet "$@")
"$uv" pip compile "${options[@]}" run.in -o run.txt
"$uv" pip compile "${options[@]}" test.in -o test.txt
"$uv" pip compile "${options[@]}" -c test.txt risk.in -o risk.txt
"$uv" pip compile "${options[@]}" train.in -o train.txt
cat torch.txt >>train.txt
