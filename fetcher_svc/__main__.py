"""python -m fetcher_svc"""

from fetcher_svc.server import build
from fetcher_svc.settings import Settings
from mesh.server import run

if __name__ == "__main__":
    run("fetcher", Settings, build)
