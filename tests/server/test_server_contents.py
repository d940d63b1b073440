"""The contents API stays in the workspace, whatever links a notebook leaves there."""

import os
import uuid

import nbformat
import pytest


@pytest.fixture
def link(server):
    """Make a symbolic link in the workspace, as a kernel could."""
    made = []

    def make(target):
        path = server.workspace / f"link-{uuid.uuid4().hex[:8]}"
        path.symlink_to(target)
        made.append(path)
        return path.name

    yield make
    for path in made:
        path.unlink(missing_ok=True)


@pytest.fixture
def inside(server):
    """A file and a folder of the workspace, which links may lead to."""
    folder = server.workspace / "inside"
    folder.mkdir(exist_ok=True)
    (folder / "own.txt").write_text("mine")
    os.chown(folder, server.account.pw_uid, server.account.pw_gid)
    return folder


@pytest.mark.parametrize("route", ["api/contents/{}", "files/{}"])
def test_a_link_to_a_file_outside_is_not_read_and_one_inside_is(server, link, inside, route):
    """PATH-03."""
    outside = server.rest("GET", route.format(link(server.secret / "secret.txt")))
    assert outside.status_code in (403, 404)
    assert "not for kernels" not in outside.text
    assert "mine" in server.rest("GET", route.format(link(inside / "own.txt"))).text


@pytest.mark.parametrize("route", ["api/contents/{}/secret.txt", "files/{}/secret.txt", "api/contents/{}"])
def test_a_link_to_a_folder_outside_is_not_read(server, link, route):
    answer = server.rest("GET", route.format(link(server.secret)))
    assert answer.status_code in (403, 404)
    assert "not for kernels" not in answer.text


def save(server, path):
    return server.rest("PUT", f"api/contents/{path}", json={"type": "file", "format": "text", "content": "written"})


def test_nothing_is_written_through_a_link_to_a_folder_outside(server, link, inside):
    """PATH-04."""
    assert save(server, f"{link(server.secret)}/new.txt").status_code in (403, 404)
    assert not (server.secret / "new.txt").exists()
    assert save(server, f"{link(inside)}/new.txt").status_code == 201
    assert (inside / "new.txt").read_text() == "written"


def test_nothing_is_written_through_a_link_to_a_file_outside(server, link):
    assert save(server, link(server.secret / "secret.txt")).status_code in (403, 404)
    assert (server.secret / "secret.txt").read_text() == "not for kernels"


def test_a_checkpoint_folder_that_leads_out_takes_no_copy(server, inside):
    assert save(server, "inside/saved.txt").status_code in (200, 201)
    checkpoints = inside / ".ipynb_checkpoints"
    checkpoints.symlink_to(server.secret)
    assert server.rest("POST", "api/contents/inside/saved.txt/checkpoints").status_code in (403, 404)
    assert not (server.secret / "saved-checkpoint.txt").exists()
    checkpoints.unlink()
    assert server.rest("POST", "api/contents/inside/saved.txt/checkpoints").status_code == 201


def test_a_rename_does_not_lead_out(server, link, inside):
    (inside / "moved.txt").write_text("mine")
    answer = server.rest("PATCH", "api/contents/inside/moved.txt", json={"path": f"{link(server.secret)}/moved.txt"})
    assert answer.status_code in (403, 404)
    assert (inside / "moved.txt").exists()


def test_a_listing_leaves_out_what_leads_out(server, link, inside):
    outside, within = link(server.secret), link(inside)
    names = [entry["name"] for entry in server.rest("GET", "api/contents").json()["content"]]
    assert within in names
    assert outside not in names


@pytest.mark.parametrize(
    ("moved", "to", "before", "after"),
    [
        ("inside/big.ipynb", "inside/final.ipynb", "inside/big.ipynb", "inside/final.ipynb"),
        ("inside/sub", "inside/done", "inside/sub/big.ipynb", "inside/done/big.ipynb"),
    ],
    ids=["notebook", "folder"],
)
def test_the_size_that_was_chosen_for_a_notebook_goes_with_it(server, inside, moved, to, before, after):
    server.rest("PUT", "api/contents/inside/sub", json={"type": "directory"}).raise_for_status()
    server.rest("PUT", f"api/contents/{before}", json={"type": "notebook", "content": nbformat.v4.new_notebook()}).raise_for_status()
    server.rest("PUT", "guardrails/profile", json={"profile": "tiny", "notebook": before}).raise_for_status()
    server.rest("PATCH", f"api/contents/{moved}", json={"path": to}).raise_for_status()
    own = [server.rest("GET", "guardrails/me", params={"notebook": place}).json()["own"] for place in (before, after)]
    assert own == [None, {"notebook": after, "profile": "tiny"}]
