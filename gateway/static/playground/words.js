// What numbers mean, in words.

export const KINDS = {
  image: { tab: "Image", one: "an image", takes: ["image"], accept: "image/*" },
  video: { tab: "Video", one: "a video", takes: ["video", "image"], accept: "video/*,image/*,.mkv,.ts,.flv,.avi" },
  audio: { tab: "Audio", one: "a sound", takes: ["audio", "video"], accept: "audio/*,video/*,.flac,.opus,.wma,.aiff" },
};

/** What a query of each kind finds among assets of each. */
export const FINDS = {
  image: { image: "images", video: "videos that show it" },
  video: { video: "videos", audio: "sounds that are heard in it" },
  audio: { audio: "sounds", video: "videos in which it is heard" },
};

/** By the kind of the asset, and what it was compared as. */
export const FOUND = {
  image: { image: "image" },
  video: { video: "video", audio: "video, by its sound track" },
  audio: { audio: "sound" },
};

export const LOOKS_THROUGH = {
  image: "Look through mirrors, flips and turns",
  video: "Look through mirrors, flips and turns",
  audio: "Look through shifts of pitch and tempo",
};

export function score(value) {
  return value.toFixed(value >= 0.9995 && value < 1 ? 4 : 3);
}

export function percent(share) {
  if (share > 0 && share < 0.01) return "under 1 %";
  if (share < 1 && share > 0.99) return "over 99 %";
  return `${Math.round(share * 100)} %`;
}

export function bytes(count) {
  if (count < 1024) return `${count} bytes`;
  const mega = count / 1048576;
  return mega < 1 ? `${Math.round(count / 1024)} kB` : `${mega >= 10 ? Math.round(mega) : mega.toFixed(1)} MB`;
}

export function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const whole = Math.floor(tenths / 10);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}.${tenths % 10}`;
}

export function span(start, end) {
  return end > start ? `${clock(start)} – ${clock(end)}` : clock(start);
}

export function milliseconds(count) {
  return count < 1000 ? `${count} ms` : `${(count / 1000).toFixed(1)} s`;
}

/** What was done to the source, step by step; empty where nothing was. */
export function steps(transform) {
  if (!transform) return [];
  const said = [];
  const { mirrored, rotation_degrees: turn = 0, scale = 1, crop, speed, pitch_semitones: pitch = 0, tempo = 1 } = transform;
  if (mirrored) said.push("mirrored");
  if (Math.abs(turn) >= 0.5) said.push(`turned ${Math.abs(turn).toFixed(Math.abs(turn) < 10 ? 1 : 0)}° ${turn > 0 ? "clockwise" : "anticlockwise"}`);
  if (Math.abs(scale - 1) >= 0.005) said.push(`scaled to ${percent(scale)}`);
  if (crop && crop.width * crop.height < 0.985) said.push(`cut down to ${percent(crop.width * crop.height)} of the picture`);
  if (speed && Math.abs(speed - 1) >= 0.005) said.push(`played at ${speed.toFixed(2)} × speed`);
  if (Math.abs(pitch) >= 0.05) said.push(`${Math.abs(pitch).toFixed(1)} semitones ${pitch > 0 ? "higher" : "lower"}`);
  if (Math.abs(tempo - 1) >= 0.005) said.push(`${tempo.toFixed(2)} × the tempo`);
  return said;
}

export function joined(parts) {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}
