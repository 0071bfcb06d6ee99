import socket

from engine.emulator.server import _bind


def test_answers_do_not_wait_for_acknowledgements(tmp_path):
    # asyncio turns Nagle's algorithm off only for sockets that say they are TCP
    with _bind("127.0.0.1", 0, tmp_path / "port") as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_the_last_port_is_taken_again_and_a_taken_one_is_not(tmp_path):
    remembered = tmp_path / "port"
    with _bind("127.0.0.1", 0, remembered) as first:
        port = first.getsockname()[1]
        remembered.write_text(str(port))
    with _bind("127.0.0.1", 0, remembered) as again:
        assert again.getsockname()[1] == port
        again.listen()
        with _bind("127.0.0.1", 0, remembered) as other:
            assert other.getsockname()[1] != port
