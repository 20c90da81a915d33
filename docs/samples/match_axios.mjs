// Compare two files with axios: node match_axios.mjs image|video|audio SOURCE_URL TARGET_URL
import axios from "axios";

const base = process.env.MEDIAMESH_URL ?? "http://127.0.0.1:8080";
const [medium, sourceUrl, targetUrl] = process.argv.slice(2);

const { data } = await axios.post(
  `${base}/${medium}/match`,
  { source_url: sourceUrl, target_url: targetUrl },
  {
    headers: {
      "x-rapidapi-key": process.env.MEDIAMESH_API_KEY ?? "none",
      "x-rapidapi-host": new URL(base).host,
      "Content-Type": "application/json",
    },
    timeout: 30_000,
  },
);
console.log(JSON.stringify(data));
