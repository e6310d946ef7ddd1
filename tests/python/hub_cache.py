"""Hub caches as huggingface_hub lays them out: blobs named by their content, snapshots of links, refs."""
import hashlib
import os
import shutil
from pathlib import Path

SMALL = (".json", ".txt", ".py", ".md", ".jinja")


def git_id(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def commit_of(repository):
    return hashlib.sha1(repository.encode()).hexdigest()


def add_repository(cache, repository, folder, kind="models", ref="main", commit=None):
    """Makes `repository` ("org/name") of the files in `folder`; returns the snapshot's path. Large files are named by
    their SHA-256, as the hub's LFS does, small ones by their Git id."""
    top = Path(cache) / f"{kind}--{repository.replace('/', '--')}"
    commit = commit or commit_of(repository)
    snapshot = top / "snapshots" / commit
    for path in sorted(Path(folder).rglob("*")):
        if not path.is_file():
            continue
        data = path.read_bytes()
        name = git_id(data) if path.suffix in SMALL else hashlib.sha256(data).hexdigest()
        blob = top / "blobs" / name
        blob.parent.mkdir(parents=True, exist_ok=True)
        if not blob.exists():
            shutil.copyfile(path, blob)
        link = snapshot / path.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    (top / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
    (top / "refs" / ref).write_text(commit)
    return snapshot
