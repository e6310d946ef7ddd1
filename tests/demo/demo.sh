#!/bin/sh
# The main job on real models, shown. Every command is run as printed; a result other than the one told ends the demo
# with status 1. Of a traceback only what was raised is shown.
set -eu
cd "$(dirname "$0")/../.."

python=build/venv/bin/python
models=build/demo
marker=$models/marker
# torch.load as old code knows it, for the pickle that calls it without a word on weights_only.
export TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=2
export PATH="$PWD/build/venv/bin:$PWD/build:$PATH"
unset LD_PRELOAD GUARD_MODE GUARD_POLICY GUARD_LOCK GUARD_LOG GUARD_QUIET
# A cache of bytecode or models that other programs left has no say here.
HOME=$PWD/$models/home
export HOME

if [ -t 1 ]; then
    bold=$(printf '\033[1m') dim=$(printf '\033[2m') green=$(printf '\033[32m') red=$(printf '\033[31m')
    plain=$(printf '\033[0m')
else
    bold='' dim='' green='' red='' plain=''
fi

title() {
    printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

fail() {
    printf '%snot as promised: %s%s\n' "$red" "$*" "$plain"
    sed 's/^/    /' $models/output
    exit 1
}

# run COMMAND: prints it, runs it, shows its lines; sets status, and leaves the whole output in $models/output.
run() {
    rm -f $marker
    printf '%s$ %s%s\n' "$dim" "$1" "$plain"
    status=0
    sh -c "$1" >$models/output 2>&1 || status=$?
    awk '/^Traceback \(most recent call last\):/ { trace = 1; next }
         trace == 1 && /^ / { next }
         trace == 1 { trace = 2; print "  " (length($0) > 118 ? substr($0, 1, 115) "..." : $0); next }
         trace == 2 && !/^guard: / { next }
         { print "  " $0 }' $models/output
}

# expect works|denied|fires PATTERN: what the run must have come to.
expect() {
    grep -q -e "$2" $models/output || fail "no line with $2"
    case $1 in
    works)
        [ "$status" = 0 ] || fail "status $status"
        [ ! -e $marker ] || fail "a payload ran"
        printf '%s  ok: works untouched%s\n' "$green" "$plain" ;;
    denied)
        [ "$status" != 0 ] || fail "the program went on"
        [ ! -e $marker ] || fail "the payload ran"
        printf '%s  ok: denied, and nothing of it ran%s\n' "$green" "$plain" ;;
    fires)
        [ -e $marker ] || fail "the payload did not run"
        printf '%s  %s exists: the payload ran%s\n' "$red" "$marker" "$plain" ;;
    esac
}

title 'Making tiny models with transformers, peft and torch: clean ones, and poisoned twins'
rm -rf $models
mkdir -p $models/home
$python tests/python/make_models.py $models >$models/output 2>&1 || fail "the models could not be made"
rm $models/output
(cd $models && ls -d ./*adapter* ./*base* ./*.p* | sed 's/^/  /')

title '1. A clean adapter on a clean base model'
run 'LD_PRELOAD=$PWD/build/libguard.so python tests/demo/infer.py build/demo/adapter_bin'
expect works '^generated: the guard'
! grep -q '^guard: ' $models/output || fail "the guard had something to say"

title "2. The adapter is clean; the base model it names carries a payload. Without the guard (transformers objects too late):"
run 'python tests/demo/infer.py build/demo/adapter_poisoned'
expect fires .

title '   The same with the guard:'
run 'LD_PRELOAD=$PWD/build/libguard.so python tests/demo/infer.py build/demo/adapter_poisoned'
expect denied '^guard: denied .*pytorch_model.bin: '

title '3. A pickle that carries no payload: it only loads another model behind your back. Without the guard:'
run 'python tests/demo/load.py build/demo/hidden.pkl'
expect fires '^loaded: '

title '   The same with the guard:'
run 'guard run -- python tests/demo/load.py build/demo/hidden.pkl'
expect denied '^guard: denied .*hidden.pkl: .*other.pt'

title '4. A child process, started with an empty environment'
run 'guard run -- python tests/demo/worker.py build/demo/poisoned.pkl'
expect denied '^guard: denied .*poisoned.pkl: '

title '5. Audit: nothing is stopped, everything is told'
run 'guard run --audit -- python tests/demo/load.py build/demo/poisoned.pkl'
expect fires '^guard: would deny '

title '6. Files at rest'
run 'guard scan build/demo/base_bin/pytorch_model.bin build/demo/base_poisoned/pytorch_model.bin build/demo/hidden.pkl'
[ "$status" = 1 ] || fail "guard scan ended with $status, not 1"
expect denied 'base_poisoned/pytorch_model.bin'
grep -q 'allow .*base_bin/pytorch_model.bin' $models/output || fail "the clean base model is not allowed"

printf '\n%sAll as promised.%s\n' "$bold" "$plain"
