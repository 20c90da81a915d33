"""python -m gateway"""

from gateway.server import run

if __name__ == "__main__":
    run()
