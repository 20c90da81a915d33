// What a recording looks like: frames of a film, the waveform of a sound. Each gives up quietly where the browser cannot read it.

const PATIENCE_MS = 20000;
// Enough to draw by, and a hundredth of the memory that the sound takes at its own rate.
const DRAWN_RATE = 8000;

/** A film to take frames of: {duration, aspect, frame(seconds)}. */
export async function openFilm(source) {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, playsInline: true, preload: "auto", src: source });
  await until(video, "loadeddata");
  let last = Promise.resolve();
  const frame = async (seconds, canvas) => {
    const at = Math.min(Math.max(seconds, 0.001), Math.max(video.duration - 0.05, 0.001));
    if (Math.abs(video.currentTime - at) > 1e-4) {
      const found = until(video, "seeked");
      video.currentTime = at;
      await found;
    }
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  };
  return {
    duration: Number.isFinite(video.duration) ? video.duration : 0,
    aspect: video.videoWidth / video.videoHeight || 16 / 9,
    /** One at a time: a film has one position. */
    frame: (seconds, canvas) => (last = last.then(() => frame(seconds, canvas), () => frame(seconds, canvas))),
  };
}

export async function openStill(source) {
  const image = new Image();
  image.referrerPolicy = "no-referrer";
  image.src = source;
  await image.decode();
  return {
    duration: 0,
    aspect: image.naturalWidth / image.naturalHeight,
    frame: async (_, canvas) => canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height),
  };
}

function until(media, event) {
  return new Promise((resolve, reject) => {
    const done = new AbortController();
    const options = { once: true, signal: done.signal };
    const timer = setTimeout(() => settle(reject), PATIENCE_MS);
    const settle = (how) => { clearTimeout(timer); done.abort(); how(); };
    media.addEventListener(event, () => settle(resolve), options);
    media.addEventListener("error", () => settle(reject), options);
  });
}

/** {duration, peaks(count)}: the largest value of each of so many equal parts. */
export async function openSound(file) {
  const context = new OfflineAudioContext(1, 1, DRAWN_RATE);
  const sound = await context.decodeAudioData(await file.arrayBuffer());
  const channels = Array.from({ length: sound.numberOfChannels }, (_, index) => sound.getChannelData(index));
  return { duration: sound.duration, peaks: (count) => peaks(channels, count) };
}

function peaks(channels, count) {
  const found = new Float32Array(count);
  for (const samples of channels) {
    for (let part = 0; part < count; part += 1) {
      const end = Math.floor(((part + 1) * samples.length) / count);
      for (let at = Math.floor((part * samples.length) / count); at < end; at += 1) {
        const value = Math.abs(samples[at]);
        if (value > found[part]) found[part] = value;
      }
    }
  }
  const highest = found.reduce((one, two) => Math.max(one, two), 1e-6);
  return found.map((value) => value / highest);
}
