"""python -m mesh: the whole mesh on one machine."""

from mesh.supervisor import run

if __name__ == "__main__":
    run()
