"""`python -m lendrail.documents`. The imports stand inside: rendering processes read this file again and need none."""


def main() -> None:
    from lendrail.documents.app import build
    from lendrail.documents.settings import Settings
    from lendrail.partners.declared import declare
    from lendrail.runtime.process import run

    run("documents", Settings, build, declare)


if __name__ == "__main__":
    main()
