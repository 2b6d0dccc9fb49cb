"""The command line, run in the process of a test."""

from cyclegan_tf.cli import main as cli


def fails(capsys, *arguments):
    """Run in this process; return the message of a failure."""
    try:
        code = cli.main(list(map(str, arguments)))
    except SystemExit as e:
        code = e.code
    assert code == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return " ".join((captured.out + captured.err).replace("│", " ").split())
