// What moves on the page. Every number shown is computed here, from the eigenvalues, in double
// precision; `theory.at` is the closed form of linvae.Frontier.
(() => {
  "use strict";

  const byId = (id) => document.getElementById(id);
  const page = JSON.parse(byId("linvae-data").textContent);
  const { n, k, variance, eigenvalues, critical, tails, slider, data_range: range } = page;
  document.documentElement.classList.remove("static");

  // --- theory ---------------------------------------------------------------------------------

  // log(upper / lower) for upper > lower, accurate also when the two are neighbours.
  function logRatio(upper, lower) {
    const excess = (upper - lower) / lower;
    return Number.isFinite(excess) ? Math.log1p(excess) : Math.log(upper) - Math.log(lower);
  }

  const theory = {
    at(beta) {
      let active = 0;
      let rate = 0;
      while (active < k && critical[active] > beta) {
        rate += 0.5 * logRatio(critical[active], beta);
        active += 1;
      }
      const level = beta * variance;
      const error = tails[active] + (active ? active * level : 0);
      const distortion = 0.5 * n * Math.log(2 * Math.PI * variance) + error / (2 * variance);
      const point = { beta, rate, distortion, squared_error: error, active, water_level: level };
      point.objective = distortion + beta * rate;
      if (range !== null) {
        point.psnr = 10 * (2 * Math.log10(range) + Math.log10(n) - Math.log10(error));
      }
      return point;
    },
    // Gain from data to reconstruction of mode i: decoder times encoder, 1 - tau / lambda.
    gain: (i, beta) => (critical[i] > beta ? (critical[i] - beta) / critical[i] : 0),
    spread: (i, beta) => (critical[i] > beta ? beta / critical[i] : 1),
    gate: (i, beta) => Math.sqrt(theory.gain(i, beta)),
    mode(i, beta) {
      const gate = theory.gate(i, beta);
      const root = Math.sqrt(eigenvalues[i]);
      return {
        eigenvalue: eigenvalues[i],
        critical: critical[i],
        decoder: gate * root,
        encoder: gate > 0 ? gate / root : 0,
        gain: theory.gain(i, beta),
        variance: theory.spread(i, beta),
        rate: critical[i] > beta ? 0.5 * logRatio(critical[i], beta) : 0,
      };
    },
  };

  // --- numbers as people write them --------------------------------------------------------------

  const raised = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷",
    8: "⁸", 9: "⁹" };

  function written(value, digits = 6) {
    if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value).replace("-", "−");
    if (!Number.isFinite(value)) return value > 0 ? "∞" : value < 0 ? "−∞" : "–";
    const [mantissa, power] = value.toPrecision(digits).replace("+", "").split("e");
    const times = power ? "·10" + [...power].map((c) => raised[c]).join("") : "";
    return mantissa.replace("-", "−") + times;
  }

  function show(element, value, digits) {
    element.textContent = written(value, digits);
    element.dataset.value = String(value);
  }

  // --- the slider --------------------------------------------------------------------------------

  const control = byId("beta");
  const typed = byId("beta-number");
  const width = Math.log(slider.high) - Math.log(slider.low);

  function betaOf(step) {
    if (step <= 0) return slider.low;
    if (step >= slider.steps) return slider.high;
    return Math.exp(Math.log(slider.low) + (width * step) / slider.steps);
  }

  function stepOf(beta) {
    return Math.round(((Math.log(beta) - Math.log(slider.low)) / width) * slider.steps);
  }

  const inRange = (beta) => Math.min(Math.max(beta, slider.low), slider.high);

  // --- pictures ----------------------------------------------------------------------------------

  const model = (name) => {
    for (const doc of window.Bokeh?.documents ?? []) {
      const found = doc.get_model_by_name(name);
      if (found) return found;
    }
    return null;
  };

  let drawn = null;

  function findModels() {
    const sources = {};
    for (const name of ["point", "tangent", "below", "above", "level", "gain", "spread", "now",
      "gates"]) {
      sources[name] = model(name);
    }
    return { sources, curve: model("figure-curve"), water: model("figure-water") };
  }

  // Bokeh lets the keyboard stop at every picture, where there is nothing to do.
  function skipPictures(root) {
    root.querySelectorAll("*").forEach((element) => {
      if (element.tabIndex >= 0) element.tabIndex = -1;
      if (element.shadowRoot) skipPictures(element.shadowRoot);
    });
  }

  const bars = (from, to) => {
    const data = { left: [], right: [], bottom: [], top: [] };
    from.forEach((low, i) => {
      if (!(to[i] > low)) return;
      data.left.push(i + 0.59);
      data.right.push(i + 1.41);
      data.bottom.push(low);
      data.top.push(to[i]);
    });
    return data;
  };

  function drawCurve(point) {
    const { sources, curve } = drawn;
    sources.point.data = { x: [point.rate], y: [point.distortion] };
    const reach = 0.22 * (curve.x_range.end - curve.x_range.start);
    const x = [point.rate - reach, point.rate + reach];
    sources.tangent.data = { x, y: x.map((r) => point.distortion - point.beta * (r - point.rate)) };
  }

  function drawWater(point) {
    const { sources, water } = drawn;
    const floor = water.y_range.start;
    const level = point.water_level;
    sources.below.data = bars(eigenvalues.map(() => floor), eigenvalues.map((v) => Math.min(v, level)));
    sources.above.data = bars(eigenvalues.map(() => Math.max(level, floor)), eigenvalues);
    sources.level.data = { x: [water.x_range.start, water.x_range.end], y: [level, level] };
  }

  function drawModes(point) {
    const { sources } = drawn;
    const gains = critical.map((_, i) => theory.gain(i, point.beta));
    sources.gain.data = bars(gains.map(() => 0), gains);
    sources.spread.data = bars(gains, gains.map(() => 1));
    sources.now.data = { x: [point.beta, point.beta], y: [0, 1] };
    const mode = Array.from(sources.gates.data.mode);
    sources.gates.data = {
      mode, x: mode.map(() => point.beta), y: mode.map((m) => theory.gate(m - 1, point.beta)),
    };
  }

  // --- reconstructions ---------------------------------------------------------------------------

  const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;

  function unpack(images) {
    const coarse = new Int8Array(bytesOf(images.vectors8));
    const fine = new Int16Array(bytesOf(images.vectors16));
    return {
      ...images,
      mean: new Float64Array(bytesOf(images.mean)),
      samples: new Uint8Array(bytesOf(images.samples)),
      places: new Float64Array(bytesOf(images.places)),
      vector: (i) => (i < images.fine ? fine.subarray(i * n, (i + 1) * n)
        : coarse.subarray((i - images.fine) * n, (i - images.fine + 1) * n)),
    };
  }

  const images = page.images ? unpack(page.images) : null;

  function reconstruct(s, beta) {
    const pixels = Float64Array.from(images.mean);
    const modes = images.steps.length;
    for (let i = 0; i < modes && critical[i] > beta; i += 1) {
      const weight = theory.gain(i, beta) * images.places[s * modes + i] * images.steps[i];
      const vector = images.vector(i);
      for (let p = 0; p < n; p += 1) pixels[p] += weight * vector[p];
    }
    const scale = 255 / (images.white - images.black);
    return pixels.map((value) => (value - images.black) * scale);
  }

  // Levels from 0, black, to 255, white; the array of an image rounds and clamps.
  function paint(canvas, levels) {
    const channels = images.shape[2] ?? 1;
    const context = canvas.getContext("2d");
    const picture = context.createImageData(canvas.width, canvas.height);
    for (let p = 0; p < canvas.width * canvas.height; p += 1) {
      for (let c = 0; c < 3; c += 1) {
        picture.data[4 * p + c] = levels[p * channels + (channels === 3 ? c : 0)];
      }
      picture.data[4 * p + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
  }

  function paintOriginals() {
    images.rows.forEach((_, s) => {
      paint(byId(`sample-${s}`), images.samples.subarray(s * n, (s + 1) * n));
    });
  }

  function paintReconstructions(point) {
    images.rows.forEach((_, s) => {
      paint(byId(`reconstruction-${s}`), reconstruct(s, point.beta));
    });
  }

  // --- the table of modes ------------------------------------------------------------------------

  function fillModes(point) {
    for (const row of byId("modes").tBodies[0].rows) {
      const mode = theory.mode(Number(row.dataset.mode) - 1, point.beta);
      row.classList.toggle("dead", point.active < Number(row.dataset.mode));
      for (const cell of row.cells) {
        if (cell.dataset.name) show(cell, mode[cell.dataset.name], 5);
      }
    }
  }

  // --- everything follows beta -------------------------------------------------------------------

  let current = slider.start;
  let waiting = false;
  let spoken = 0;

  function numbersIn(point) {
    document.querySelectorAll("[data-number]").forEach((element) => {
      show(element, point[element.dataset.number]);
    });
    const bits = byId("rate-bits");
    show(bits, point.rate / Math.LN2, 4);
    control.setAttribute("aria-valuetext", `β = ${written(point.beta, 4)}`);
    if (document.activeElement !== typed) typed.value = String(Number(point.beta.toPrecision(6)));
    window.clearTimeout(spoken);
    spoken = window.setTimeout(() => {
      byId("spoken").textContent = `β ${written(point.beta, 4)}: rate ${written(point.rate, 4)} ` +
        `nats, distortion ${written(point.distortion, 4)} nats, squared error ` +
        `${written(point.squared_error, 4)}, ${point.active} of ${k} modes active.`;
    }, 400);
  }

  function update() {
    waiting = false;
    const point = theory.at(current);
    numbersIn(point);
    fillModes(point);
    if (drawn) {
      drawCurve(point);
      drawWater(point);
      drawModes(point);
    }
    if (images) paintReconstructions(point);
    document.documentElement.dataset.drawn = String(current);
  }

  // What became of a typed number that could not be taken as it is; nothing when it could.
  function tell(words, invalid = false) {
    const told = byId("beta-told");
    told.hidden = !words;
    told.textContent = words;
    typed.setAttribute("aria-invalid", String(invalid));
  }

  function moveTo(beta) {
    current = inRange(beta);
    tell("");
    if (waiting) return;
    waiting = true;
    window.requestAnimationFrame(update);
  }

  control.addEventListener("input", () => moveTo(betaOf(Number(control.value))));

  function jump(beta) {
    moveTo(beta);
    control.value = String(stepOf(current));
  }

  typed.addEventListener("change", () => {
    const beta = Number(typed.value.replace(",", "."));
    if (!Number.isFinite(beta) || beta <= 0) {
      tell("β must be a number above 0.", true);
      return;
    }
    jump(beta);
    typed.value = String(Number(current.toPrecision(6)));
    const end = current === beta ? "" : beta < current ? "smallest" : "largest";
    tell(end && `This page goes no further: ${written(current, 4)} is its ${end} β.`);
  });

  byId("next-up").addEventListener("click", () => {
    const above = critical.filter((c) => c > current && c <= slider.high);
    if (above.length) jump(above[above.length - 1]);
  });
  byId("next-down").addEventListener("click", () => {
    const below = critical.filter((c) => c < current && c >= slider.low);
    if (below.length) jump(below[0]);
  });

  if (images) paintOriginals();
  update();
  Promise.all(Object.values(page.pictures).map((item) => window.Bokeh.embed.embed_item(item)))
    .then(() => {
      drawn = findModels();
      document.querySelectorAll(".picture").forEach(skipPictures);
      update();
      document.documentElement.dataset.ready = "yes";
    })
    .catch((error) => {
      byId("trouble").hidden = false;
      byId("trouble").textContent = `The pictures could not be drawn (${error}). The numbers are right.`;
    });
})();
