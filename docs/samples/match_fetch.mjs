// Compare two files with the fetch of Node 18 and newer: node match_fetch.mjs image|video|audio SOURCE_URL TARGET_URL

const base = process.env.MEDIAMESH_URL ?? "http://127.0.0.1:8080";
const [medium, sourceUrl, targetUrl] = process.argv.slice(2);

const response = await fetch(`${base}/${medium}/match`, {
  method: "POST",
  headers: {
    "x-rapidapi-key": process.env.MEDIAMESH_API_KEY ?? "none",
    "x-rapidapi-host": new URL(base).host,
    "Content-Type": "application/json",
  },
  body: JSON.stringify({ source_url: sourceUrl, target_url: targetUrl }),
  signal: AbortSignal.timeout(30_000),
});

if (!response.ok) {
  const { error } = await response.json();
  throw new Error(`${response.status} ${error.code}: ${error.message}`);
}
console.log(JSON.stringify(await response.json()));
