"""Kernels of a real governed server: what runs, what is refused, what is left behind."""

import json
import os
import shutil
import sys

import pytest
from server_processes import runs


def test_code_runs_and_may_write_the_workspace(kernel, server):
    assert kernel.run("open('made.txt', 'w').write('here'); print(6 * 7)").strip() == "42"
    assert (server.workspace / "made.txt").read_text() == "here"


def test_a_file_outside_is_refused_and_the_workspace_is_not(kernel, server):
    assert "FileNotFoundError" in kernel.run(f"open({str(server.secret / 'secret.txt')!r}).read()")
    (server.workspace / "own.txt").write_text("mine")
    assert "mine" in kernel.run("print(open('own.txt').read())")


def test_a_file_outside_is_explained_and_a_missing_one_inside_is_not(kernel, server):
    assert "is not among the folders that this kernel sees" in why(kernel, f"open({str(server.secret / 'secret.txt')!r})")
    assert why(kernel, "open('no-such-file.csv')") == "nothing to explain"
    assert why(kernel, "open('/usr/share/no-such-file.csv')") == "nothing to explain"


def why(kernel, attempt):
    """What stands under the traceback of an attempt that fails."""
    lines = ["import guarded.view", f"try: {attempt}", "except OSError as error: print(guarded.view.reason(error) or 'nothing to explain')"]
    return kernel.run("\n".join(lines)).strip()


def test_a_place_that_can_t_be_written_is_explained_and_a_missing_folder_inside_is_not(kernel, server):
    assert f"{server.root / 'new.txt'} can't be written by this kernel" in why(kernel, "open('../new.txt', 'w')")
    assert why(kernel, "open('no-such-folder/new.txt', 'w')") == "nothing to explain"
    assert "inside" in kernel.run("open('new.txt', 'w').write('inside'); print(open('new.txt').read())")


def test_a_full_dev_shm_is_explained_with_its_size(kernel):
    fill = "[open(f'/dev/shm/{number}', 'wb').write(bytes(2**26)) for number in range(9)]"
    assert "/dev/shm is full: this kernel's own holds 512 MiB" in why(kernel, fill)
    assert "fits" in kernel.run(
        "import os\nfor name in os.listdir('/dev/shm'): os.unlink('/dev/shm/' + name)\nopen('/dev/shm/a', 'w').write('fits')\nprint('fits')"
    )


def test_an_unreachable_host_is_explained_and_a_refusal_of_its_own_loopback_is_not(kernel):
    kernel.run("import socket, urllib.request")
    for attempt in ("socket.create_connection(('203.0.113.7', 443), 5)", "socket.getaddrinfo('files.example.com', 443)"):
        assert "reaches only the hosts and ports that the policy names" in why(kernel, attempt)
    assert "put files.example.com:443 on the approved network list" in why(kernel, "urllib.request.urlopen('https://files.example.com/')")
    assert why(kernel, "socket.create_connection(('127.0.0.1', 9), 5)") == "nothing to explain"


def test_granted_data_is_read_and_other_data_is_not(kernel, server):
    assert "AA,3" in kernel.run("import os; print(open(os.environ['GUARDRAILS_DATA'] + '/nyc/flights').read())")
    assert "FileNotFoundError" in kernel.run(f"open({str(server.root / 'data' / 'salaries.csv')!r}).read()")


def test_what_it_was_started_with_is_its_label_and_it_publishes_with_that(kernel, server):
    """In a real sandbox: a file of its own /tmp is handed over, and read again by name."""
    assert kernel.run("import guarded; print(guarded.labels())").startswith("internal, from nyc/flights 1.0.0")
    lines = ["with open('/tmp/own.csv', 'w') as file: _ = file.write('a,b\\n1,2\\n')"]
    lines += ["made = guarded.publish('/tmp/own.csv', 'own/table', description='made here')", "print(made.state, made.details['inputs'][0]['name'])"]
    assert kernel.run("\n".join(lines)).split() == ["private", "nyc/flights"]
    assert kernel.run("print(guarded.open('own/table').read().decode())").split() == ["a,b", "1,2"]
    assert "has no path" in kernel.run("guarded.path('own/table')")
    kept = next((server.state / "publications").iterdir())
    assert "FileNotFoundError" in kernel.run(f"open({str(kept)!r}).read()")


def test_the_environment_holds_no_secret_of_the_server(kernel):
    seen = json.loads(kernel.run("import json, os; print(json.dumps(dict(os.environ)))"))
    assert "JUPYTER_TOKEN" not in seen
    assert "AWS_SECRET_ACCESS_KEY" not in seen
    assert seen["LANG"] == "C.UTF-8"
    assert seen["OMP_NUM_THREADS"] == "1"
    everything = kernel.run("print(open('/proc/self/environ').read(), open('/proc/self/cmdline').read())")
    assert "must-not-reach-a-kernel" not in everything
    assert "token-of-the-test-server" not in everything


def test_without_a_path_a_kernel_starts_in_the_workspace(kernel, server):
    assert kernel.run("import os; print(os.getcwd(), os.environ['HOME'])").split() == [str(server.workspace)] * 2


def test_a_path_out_of_the_workspace_is_not_where_it_starts(server):
    started = server.start_kernel(path="../elsewhere")
    assert started.run("import os; print(os.getcwd())").strip() == str(server.workspace)
    started.stop()


def test_an_interrupt_ends_the_cell_and_keeps_the_kernel(kernel):
    # short sleeps: an interrupt that comes just before a call of Python's shows when the call ends
    running = kernel.send("kept = 1\nprint('begun', flush=True)\nimport time\nfor _ in range(600): time.sleep(0.1)")
    kernel.wait(running, until="begun")
    assert kernel.server.rest("POST", f"api/kernels/{kernel.id}/interrupt").status_code == 204
    assert "KeyboardInterrupt" in kernel.wait(running)
    assert kernel.run("print(kept)").strip() == "1"


def lease_of(server, kernel_id):
    known = server.rest("GET", "guardrails/kernels").json()["kernels"]
    return next(kernel for kernel in known if kernel["id"] == kernel_id)


def test_a_restart_keeps_the_lease_and_forgets_variables(kernel):
    kernel.run("kept = 1")
    before = lease_of(kernel.server, kernel.id)
    kernel.restart()
    assert "NameError" in kernel.run("kept")
    after = lease_of(kernel.server, kernel.id)
    assert after["started_at"] == before["started_at"]
    starts = kernel.server.rest("GET", "guardrails/audit?last=200&action=kernel.start").json()["records"]
    assert {record["allowed"] for record in starts if record["kernel"] == kernel.id} == {True}


def test_a_kernel_that_dies_is_restarted_under_the_same_lease(kernel):
    before = lease_of(kernel.server, kernel.id)
    kernel.send("import os; os._exit(1)")
    kernel.wait_for_status("restarting")
    assert kernel.run_when_back("print('back')").strip() == "back"
    assert lease_of(kernel.server, kernel.id)["started_at"] == before["started_at"]


def test_shutdown_leaves_no_process_no_folder_and_no_lease(server):
    started = server.start_kernel()
    mark = f"600.{os.getpid()}"  # nobody else's
    started.run(f"import subprocess; subprocess.Popen(['sleep', '{mark}'], start_new_session=True)")
    assert runs(mark)
    folder = started.run("import os; print(os.path.dirname(os.environ['TMPDIR']))").strip()
    assert started.stop().status_code == 204
    assert not runs(mark)
    assert not os.path.exists(folder)
    assert started.id not in [k["id"] for k in server.rest("GET", "guardrails/kernels").json()["kernels"]]


def test_too_much_memory_is_an_error_in_the_cell_and_variables_stay(kernel):
    kernel.run("kept = 'still here'")
    assert "MemoryError" in kernel.run("b'x' * (4 << 30)")
    assert kernel.run("print(kept)").strip() == "still here"
    assert len(eval(kernel.run("x = b'x' * (100 << 20); print([len(x)])"))) == 1


def test_a_file_beside_the_notebook_does_not_run_instead_of_the_kernel(server):
    """CFG-04; siblings stay importable from the notebook and from programs that it starts."""
    folder = server.workspace / "cfg04"
    folder.mkdir()
    marker = folder / "ran-instead"
    (folder / "ipykernel_launcher.py").write_text(
        f"open({str(marker)!r}, 'w').close()\nimport runpy; runpy.run_module('ipykernel', run_name='__main__')"
    )
    (folder / "sibling.py").write_text("ANSWER = 42\n")
    (folder / "train.py").write_text("import sibling; print('trained', sibling.ANSWER)\n")
    shutil.chown(folder, server.account.pw_uid, server.account.pw_gid)
    started = server.start_kernel(path="cfg04")
    assert "42" in started.run("import sibling; print(sibling.ANSWER)")
    assert "trained 42" in started.run(
        "import subprocess, sys; print(subprocess.run([sys.executable, 'train.py'], capture_output=True, text=True).stdout)"
    )
    assert "trained 42" in started.run("!python train.py")
    assert not marker.exists()
    started.stop()


def test_a_kernelspec_of_ones_own_is_governed_too(server):
    """Its LD_PRELOAD must not reach the process that makes the sandbox; a provisioner that it names is not asked."""
    folder = server.root / "share" / "kernels" / "mine"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    metadata = {"kernel_provisioner": {"provisioner_name": "local-provisioner"}, "supported_encryption": ["curve"]}
    spec = {
        "argv": argv,
        "display_name": "Mine",
        "language": "python",
        "env": {"LD_PRELOAD": "/nonexistent/evil.so", "MINE": "yes"},
        "metadata": metadata,
    }
    (folder / "kernel.json").write_text(json.dumps(spec))
    started = server.start_kernel("mine")
    assert "yes /nonexistent/evil.so" in started.run("import os; print(os.environ['MINE'], os.environ['LD_PRELOAD'])")
    assert "FileNotFoundError" in started.run(f"open({str(server.secret / 'secret.txt')!r}).read()")
    assert "evil.so" not in "".join(line for line in server.lines if "launch.py" in line)
    started.stop()


def test_a_kernelspec_that_hides_an_admins_is_refused(server):
    folder = server.root / "share" / "kernels" / "python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({"argv": ["/bin/true", "{connection_file}"], "display_name": "Python 3", "language": "python"}))
    try:
        answer = server.rest("POST", "api/kernels", json={"name": "python3"})
        if answer.status_code == 201:
            server.rest("DELETE", f"api/kernels/{answer.json()['id']}")
            pytest.fail("the admin's python3 was replaced")
        assert answer.status_code == 403
        assert "hides the one that your admin installed" in answer.json()["message"]
    finally:
        shutil.rmtree(folder)


@pytest.mark.slow
def test_one_kernel_too_many_is_refused_with_its_rule(make_server):
    small = make_server(maximum=1).wait_ready()
    first = small.start_kernel()
    for path, body in (
        ("api/kernels", {"name": "python3"}),
        ("api/sessions", {"path": "a.ipynb", "type": "notebook", "name": "", "kernel": {"name": "python3"}}),
    ):
        answer = small.rest("POST", path, json=body)
        assert answer.status_code in (403, 429), answer.text
        assert "guardrails.yaml:" in answer.json()["rule"]
        assert "everyone-starts-small" in answer.json()["message"]
    first.stop()
    small.start_kernel().stop()


def test_without_a_policy_the_server_runs_and_kernels_are_refused(make_server):
    bare = make_server(policy=None).wait_ready()
    answer = bare.rest("POST", "api/kernels", json={"name": "python3"})
    assert answer.status_code >= 400
    assert "guardrails.yaml" in answer.json()["message"]
    assert answer.json()["next_step"]
    assert bare.rest("GET", "api/contents").status_code == 200


def test_a_kernel_that_no_error_stops_is_ended_and_its_cell_says_why(server):
    """Shared memory escapes the data limit: the ladder ends at half as much again. The notebook's own profile (512 MiB) holds."""
    assert server.rest("PUT", "guardrails/profile", json={"profile": "tiny", "notebook": "bomb.ipynb"}).status_code == 200
    body = {"path": "bomb.ipynb", "type": "notebook", "name": "bomb.ipynb", "kernel": {"name": "python3"}}
    started = server.attach(server.rest("POST", "api/sessions", json=body).json()["kernel"]["id"])
    assert lease_of(server, started.id)["profile"] == "tiny"
    bomb = "import mmap, signal; signal.signal(2, signal.SIG_IGN); m = mmap.mmap(-1, 1 << 30)"
    bomb += "\nfor at in range(0, 1 << 30, 4096): m[at] = 1\nsignal.pause()"
    printed = started.wait(started.send(bomb), until="was ended")
    assert "guardrails: this kernel was ended" in printed
    assert "512 MiB" in printed
    started.stop()
