// The blind comparison of two systems. Votes stay in the browser until downloaded.
(() => {
  const blind = document.getElementById("blind");
  const find = (selector) => blind.querySelector(selector);
  const [setup, trial, end] = ["#setup", "#trial", "#end"].map(find);
  const sides = { A: find('[data-side="A"]'), B: find('[data-side="B"]') };
  const buttons = [...blind.querySelectorAll("[data-vote]")];
  const COLUMNS = [
    "utterance", "system_a", "system_b", "side_a", "vote", "listener",
    "seconds_listened", "time",
  ];
  let session = null; // { key, a, b, listener, trials, votes }
  let heard = { A: 0, B: 0 }; // seconds, in this trial

  Object.values(sides).forEach(player.bind);

  // Equal words give equal numbers in every browser: FNV-1a, then mulberry32.
  function makeRandom(words) {
    let state = 2166136261;
    for (const letter of new TextEncoder().encode(words)) {
      state = Math.imul(state ^ letter, 16777619);
    }
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  function shuffle(items, random) {
    for (let last = items.length - 1; last > 0; last -= 1) {
      const other = Math.floor(random() * (last + 1));
      [items[last], items[other]] = [items[other], items[last]];
    }
    return items;
  }

  const clipOf = (article, name) =>
    [...article.querySelectorAll(".clip:not(.missing)")].find(
      (clip) => clip.dataset.name === name,
    );

  // Sentences that both have, in the order of the set, then shuffled with the sides;
  // each system is on each side equally often.
  function drawTrials(a, b, listener) {
    const random = makeRandom([blind.dataset.seed, a, b, listener].join("\n"));
    const articles = [...document.querySelectorAll("#list article")]
      .filter((article) => clipOf(article, a) && clipOf(article, b))
      .sort((one, other) => one.dataset.order - other.dataset.order);
    const order = shuffle(articles, random);
    const places = shuffle(order.map((_, index) => (index % 2 ? "B" : "A")), random);
    return order.map((article, index) => ({ article, sideA: places[index] }));
  }

  function readStore(key) {
    try {
      return JSON.parse(localStorage.getItem(key)) || [];
    } catch (error) {
      tell(`Votes of an earlier visit cannot be read (${error.message}).`);
      return [];
    }
  }

  function writeStore() {
    try {
      localStorage.setItem(session.key, JSON.stringify(session.votes));
    } catch (error) {
      tell(`This browser keeps no votes (${error.message}): do not close the page before
        you have downloaded them.`);
    }
  }

  function tell(text) {
    find("#trouble").textContent = text;
  }

  function start() {
    const [a, b] = [find("#system_a").value, find("#system_b").value];
    const listener = find("#listener").value.trim().replace(/\s+/g, " ");
    if (a === b) return tell("Choose two different systems.");
    if (!listener) return tell("Give a name or a number, so that votes can be told apart.");
    tell("");
    const trials = drawTrials(a, b, listener);
    if (!trials.length) return tell("No sentence has a recording of both.");
    const key = ["votes", blind.dataset.page, a, b, listener].join("\n");
    session = { key, a, b, listener, trials, votes: readStore(key) };
    document.body.classList.add("voting");
    showNext();
  }

  function stop() {
    player.select(null);
    document.body.classList.remove("voting");
    trial.hidden = end.hidden = true;
    session = null;
  }

  const nextTrial = () => session.trials[session.votes.length];

  function showNext() {
    player.select(null);
    const { trials, votes } = session;
    const isOver = votes.length >= trials.length;
    trial.hidden = isOver;
    end.hidden = !isOver;
    if (isOver) return showEnd();
    find("#progress").textContent = `${votes.length + 1} of ${trials.length}`;
    find(".bar i").style.width = `${(100 * votes.length) / trials.length}%`;
    const { article } = nextTrial();
    const text = article.querySelector(".reference");
    find("#trial .reference").textContent = text ? text.textContent : "";
    for (const side of ["A", "B"]) place(side, article);
    heard = { A: 0, B: 0 };
    find("#undo").disabled = votes.length === 0;
    showVotes();
    blind.scrollIntoView({ block: "start" });
  }

  const systemOn = (side) => (side === nextTrial().sideA ? session.a : session.b);

  function place(side, article) {
    const source = clipOf(article, systemOn(side));
    const audio = source.querySelector("audio");
    player.load(audio); // the list and the trial share one blob
    sides[side].querySelector("audio").src = audio.src;
    sides[side].dataset.seconds = source.dataset.seconds;
    sides[side].querySelector(".track i").style.width = "0";
  }

  const isHeard = (side) => heard[side] >= Math.min(1, Number(sides[side].dataset.seconds) / 2);

  function showVotes() {
    const isReady = isHeard("A") && isHeard("B");
    for (const button of buttons) button.disabled = !isReady;
    find("#hint").style.visibility = isReady ? "hidden" : "visible";
  }

  player.onHeard((clip, seconds) => {
    if (!session || !(clip.dataset.side in heard)) return;
    heard[clip.dataset.side] += seconds;
    showVotes();
  });

  function vote(choice) {
    if (!isHeard("A") || !isHeard("B")) return;
    player.pause();
    const { article, sideA } = nextTrial();
    const better = { [sideA]: "system_a", same: "same" }[choice] || "system_b";
    session.votes.push({
      utterance: article.dataset.id,
      system_a: session.a,
      system_b: session.b,
      side_a: sideA,
      vote: better,
      listener: session.listener,
      seconds_listened: (heard.A + heard.B).toFixed(2),
      time: new Date().toISOString(),
    });
    writeStore();
    showNext();
  }

  function showEnd() {
    const count = (name) => session.votes.filter((row) => row.vote === name).length;
    find("#result").textContent =
      `${session.a} better: ${count("system_a")}. ${session.b} better: ` +
      `${count("system_b")}. The same: ${count("same")}. Thank you.`;
    const rows = session.votes.map((row) => {
      const [a, b] = [row.system_a, row.system_b];
      const sides = row.side_a === "A" ? [a, b] : [b, a];
      return [row.utterance, ...sides, row[row.vote] || "same"];
    });
    find("#reveal").replaceChildren(makeTable([["utterance", "A was", "B was", "better"], ...rows]));
  }

  function makeTable(rows) {
    const table = document.createElement("table");
    table.className = "scores";
    rows.forEach((cells, index) => {
      const parent = index ? table.tBodies[0] || table.createTBody() : table.createTHead();
      const row = parent.insertRow();
      cells.forEach((cell, place) => {
        const made = document.createElement(index && place ? "td" : "th");
        made.textContent = cell;
        row.append(made);
      });
    });
    return table;
  }

  function save() {
    const clean = (cell) => String(cell).replace(/[\t\r\n]+/g, " ");
    const rows = session.votes.map((row) => COLUMNS.map((name) => clean(row[name])));
    const text = [COLUMNS, ...rows].map((row) => row.join("\t") + "\n").join("");
    const link = document.createElement("a");
    const parts = ["votes", session.a, session.b, session.listener];
    link.download = parts.join("_").replace(/[^\p{L}\p{N}._-]+/gu, "-") + ".tsv";
    link.href = URL.createObjectURL(new Blob([text], { type: "text/tab-separated-values" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // Space plays A first, then B, then the last one again.
  function playNext() {
    if (player.isPlaying()) return player.pause();
    if (!isHeard("A")) return player.play(sides.A);
    if (!isHeard("B")) return player.play(sides.B);
    const current = player.current();
    player.play(current && current.dataset.side ? current : sides.A);
  }

  const KEYS = {
    1: () => vote("A"),
    2: () => vote("B"),
    0: () => vote("same"),
    " ": playNext,
    ArrowLeft: () => player.play(sides.A, 0),
    ArrowRight: () => player.play(sides.B, 0),
  };

  document.addEventListener(
    "keydown",
    (event) => {
      if (!session) return;
      event.stopImmediatePropagation(); // the list below has keys of its own
      if (event.ctrlKey || event.altKey || event.metaKey || trial.hidden) return;
      const isOther = event.key === " " && event.target.closest(".rest button, .votes button");
      if (!(event.key in KEYS) || isOther) return;
      event.preventDefault();
      if (!event.repeat) KEYS[event.key]();
    },
    true,
  );

  setup.addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
  for (const button of buttons) {
    button.addEventListener("click", () => vote(button.dataset.vote));
  }
  blind.querySelectorAll(".stop").forEach((b) => b.addEventListener("click", stop));
  blind.querySelectorAll(".save").forEach((b) => b.addEventListener("click", save));
  find("#undo").addEventListener("click", () => {
    session.votes.pop();
    writeStore();
    showNext();
  });
  find("#restart").addEventListener("click", () => {
    if (!confirm("Discard all votes of this comparison?")) return;
    session.votes = [];
    writeStore();
    showNext();
  });
})();
