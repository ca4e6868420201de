#!/usr/bin/env bash
# Runs one scenario: k6/run.sh [SCENARIO] [TARGET] [REMOTE_WRITE_URL] [options]; `k6/run.sh --help` tells more.
# From the environment, as in the design (section 4.4): LOAD, TARGET_ENV, COUPON_ID, PRODUCT_ID.
set -eo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python="$root/.venv/bin/python"
if [ ! -x "$python" ]; then
  echo "k6/run.sh: $python is not there. Run \`make setup\` in $root first." >&2
  exit 2
fi

positional=()
while [ $# -gt 0 ] && [[ "$1" != -* ]]; do
  positional+=("$1")
  shift
done
scenario=${positional[0]:-a-shopping-flow}
target=${positional[1]:-${TARGET_ENV:-portal}}

export PYTHONPATH="$root"
exec "$python" -m k6.runner "$scenario" "$target" "${positional[@]:2}" \
  --load "${LOAD:-smoke}" ${COUPON_ID:+--coupon-id "$COUPON_ID"} ${PRODUCT_ID:+--product-id "$PRODUCT_ID"} "$@"
