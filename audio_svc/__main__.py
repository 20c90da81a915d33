"""python -m audio_svc"""

from audio_svc.server import build
from audio_svc.settings import Settings
from mesh.server import run

if __name__ == "__main__":
    run("audio", Settings, build)
