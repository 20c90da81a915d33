"""python -m video_svc"""

from mesh.server import run
from video_svc.server import build
from video_svc.settings import Settings

if __name__ == "__main__":
    run("video", Settings, build)
