"""python -m index_svc"""

from index_svc.server import build
from index_svc.settings import Settings
from mesh.server import run

if __name__ == "__main__":
    run("index", Settings, build)
