// One binary message: four bytes with the length of the JSON header, the header, and its parts.

export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let offset = 4 + length;
  for (const part of header.parts) {
    part.content = new Uint8Array(buffer, offset, part.bytes);
    offset += part.bytes;
  }
  return header;
}

// A picture part as something that a canvas draws: ImageData, or a bitmap.
export async function picture(part) {
  if (part.form === "jpeg") return createImageBitmap(new Blob([part.content], { type: "image/jpeg" }));
  const { width, height, content } = part;
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let from = 0, to = 0; from < content.length; from += 3, to += 4) {
    pixels[to] = content[from];
    pixels[to + 1] = content[from + 1];
    pixels[to + 2] = content[from + 2];
    pixels[to + 3] = 255;
  }
  return new ImageData(pixels, width, height);
}

export function draw(canvas, image) {
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (image instanceof ImageData) context.putImageData(image, 0, 0);
  else context.drawImage(image, 0, 0);
}

// Where two pictures differ, three times as strong.
export function drawDifference(canvas, one, other) {
  const a = one.getContext("2d").getImageData(0, 0, one.width, one.height);
  if (other.width !== one.width || other.height !== one.height) return;
  const b = other.getContext("2d").getImageData(0, 0, one.width, one.height).data;
  for (let i = 0; i < b.length; i++) if (i % 4 < 3) a.data[i] = 3 * Math.abs(a.data[i] - b[i]);
  draw(canvas, a);
}
