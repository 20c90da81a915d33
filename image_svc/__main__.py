"""python -m image_svc"""

from image_svc.server import build
from image_svc.settings import Settings
from mesh.server import run

if __name__ == "__main__":
    run("image", Settings, build)
