#!/bin/sh
# Compare two sounds: audio_match.sh SOURCE_URL TARGET_URL
set -eu
base=${MEDIAMESH_URL:-http://127.0.0.1:8080}

curl -sS --fail-with-body -X POST "$base/audio/match" \
  -H "x-rapidapi-key: ${MEDIAMESH_API_KEY:-none}" \
  -H "x-rapidapi-host: ${base#*://}" \
  -H 'Content-Type: application/json' \
  -d "{
    \"source_url\": \"$1\",
    \"target_url\": \"$2\"
  }"
