// One listing against many references, a few calls at a time: node fan_out.js LISTING_URL REFERENCE_URL...
// Prints the reference that is most alike, and how much.

/** Calls at once. Keep it within the requests per second of your plan. */
const CONCURRENCY = 4;
const TRIES = 5;

const base = process.env.MEDIAMESH_URL ?? "http://127.0.0.1:8080";
const headers = {
  "x-rapidapi-key": process.env.MEDIAMESH_API_KEY ?? "none",
  "x-rapidapi-host": new URL(base).host,
  "Content-Type": "application/json",
};

interface Match {
  match: boolean;
  confidence: "none" | "low" | "medium" | "high";
  similarity_score: number;
}

async function matchOne(listing: string, reference: string): Promise<Match> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(`${base}/image/match`, {
      method: "POST",
      headers,
      body: JSON.stringify({ source_url: listing, target_url: reference }),
      signal: AbortSignal.timeout(30_000),
    });
    if (response.ok) return (await response.json()) as Match;
    // 429 and 503 say when it is worth trying again; everything else is an answer.
    const waitSeconds = Number(response.headers.get("Retry-After"));
    if (!waitSeconds || attempt === TRIES) throw new Error(`${response.status} ${await response.text()}`);
    await new Promise((resolve) => setTimeout(resolve, waitSeconds * 1000));
  }
}

async function topMatch(listing: string, references: string[]): Promise<{ reference: string; score: number }> {
  const queue = [...references];
  let best = { reference: "", score: -1 };
  const takeTurns = async (): Promise<void> => {
    for (let reference = queue.shift(); reference !== undefined; reference = queue.shift()) {
      const { similarity_score: score } = await matchOne(listing, reference);
      if (score > best.score) best = { reference, score };
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, takeTurns));
  return best;
}

const [listing, ...references] = process.argv.slice(2);
if (listing === undefined || references.length === 0) throw new Error("give a listing's URL and those of references");
console.log(JSON.stringify(await topMatch(listing, references)));
