// Something to try the page with where there is no file at hand: drawn and played here, the same every time.

const SIZE = [640, 480];
const RATE = 16000;

/** Two files by medium: an original, and what somebody made of it. */
export const EXAMPLES = { image: pictures, audio: sounds };

function random(seed) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  };
}

async function pictures() {
  const source = document.createElement("canvas");
  [source.width, source.height] = SIZE;
  draw(source.getContext("2d"));
  const target = document.createElement("canvas");
  [target.width, target.height] = [520, 420];
  const pen = target.getContext("2d");
  pen.filter = "brightness(1.15) saturate(.7)";
  pen.translate(target.width, 0);
  pen.scale(-1, 1);
  pen.drawImage(source, 60, 40, 520, 420, 0, 0, 520, 420);
  pen.resetTransform();
  pen.filter = "none";
  Object.assign(pen, { fillStyle: "#fff", strokeStyle: "#000", lineWidth: 4, font: "700 34px system-ui, sans-serif", textAlign: "center" });
  pen.strokeText("MY OWN PICTURE", 260, 400);
  pen.fillText("MY OWN PICTURE", 260, 400);
  return Promise.all([fileOf(source, "original.jpg", "image/jpeg"), fileOf(target, "copy.webp", "image/webp")]);
}

/** Hills in the evening, with a village. */
function draw(pen) {
  const [width, height] = SIZE;
  const next = random(7);
  const sky = pen.createLinearGradient(0, 0, 0, height);
  sky.addColorStop(0, "#20315f");
  sky.addColorStop(0.6, "#e58a5a");
  pen.fillStyle = sky;
  pen.fillRect(0, 0, width, height);
  pen.fillStyle = "#ffe9b8";
  pen.beginPath();
  pen.arc(430, 190, 46, 0, 7);
  pen.fill();
  for (let ridge = 0; ridge < 4; ridge += 1) {
    pen.fillStyle = `hsl(${150 - ridge * 12} ${18 + ridge * 6}% ${34 - ridge * 7}%)`;
    pen.beginPath();
    pen.moveTo(0, height);
    for (let x = 0; x <= width; x += 16) pen.lineTo(x, 210 + ridge * 55 + Math.sin(x / (90 - ridge * 9) + ridge * 2) * 26 + next() * 12);
    pen.lineTo(width, height);
    pen.fill();
  }
  for (let house = 0; house < 26; house += 1) {
    const [x, y, size] = [next() * width, 300 + next() * 150, 16 + next() * 26];
    pen.fillStyle = `hsl(${20 + next() * 30} ${30 + next() * 40}% ${45 + next() * 30}%)`;
    pen.fillRect(x, y, size, size * 0.8);
    pen.fillStyle = `hsl(${next() * 20} 55% 30%)`;
    pen.beginPath();
    pen.moveTo(x - 4, y);
    pen.lineTo(x + size / 2, y - size * 0.6);
    pen.lineTo(x + size + 4, y);
    pen.fill();
    pen.fillStyle = next() > 0.4 ? "#ffd97a" : "#2b2f3a";
    pen.fillRect(x + size * 0.3, y + size * 0.25, size * 0.25, size * 0.3);
  }
}

function fileOf(canvas, name, type) {
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(new File([blob], name, { type })), type, 0.85));
}

async function sounds() {
  const original = melody(14);
  const next = random(3);
  const part = original.slice(4 * RATE, 11 * RATE).map((value) => value * 0.5 + (next() - 0.5) * 0.06);
  return [wave(original, "original.wav"), wave(part, "part.wav")];
}

function melody(seconds) {
  const samples = new Float32Array(seconds * RATE);
  const next = random(11);
  for (let beat = 0; beat < seconds * 4; beat += 1) {
    const pitch = 196 * 2 ** ([0, 2, 4, 7, 9, 12, 14, 16][Math.floor(next() * 8)] / 12);
    const [start, loud] = [Math.floor((beat * RATE) / 4), 0.1 + next() * 0.15];
    for (let at = 0; at < RATE / 2 && start + at < samples.length; at += 1) {
      const time = at / RATE;
      const tone = [1, 2, 3, 4.02].reduce((sum, part) => sum + Math.sin(2 * Math.PI * pitch * part * time) / part, 0);
      samples[start + at] += loud * tone * Math.exp(-time * 6);
    }
    for (let at = 0; at < 400 && start + at < samples.length; at += 1) samples[start + at] += (next() - 0.5) * 0.2 * Math.exp(-at / 90);
  }
  return samples;
}

function wave(samples, name) {
  const bytes = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const text = (at, said) => [...said].forEach((letter, index) => bytes.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  bytes.setUint32(4, 36 + samples.length * 2, true);
  text(8, "WAVEfmt ");
  [[16, 16], [24, RATE], [28, RATE * 2], [40, samples.length * 2]].forEach(([at, value]) => bytes.setUint32(at, value, true));
  [[20, 1], [22, 1], [32, 2], [34, 16]].forEach(([at, value]) => bytes.setUint16(at, value, true));
  text(36, "data");
  samples.forEach((value, index) => bytes.setInt16(44 + index * 2, Math.max(-1, Math.min(1, value)) * 32767, true));
  return new File([bytes], name, { type: "audio/wav" });
}
