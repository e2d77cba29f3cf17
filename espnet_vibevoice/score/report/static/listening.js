// Sorting, filtering and keys of a list of utterances.
(() => {
  const list = document.getElementById("list");
  const order = document.getElementById("order");
  const direction = document.getElementById("direction");
  const filter = document.getElementById("filter");
  const articles = [...list.querySelectorAll("article")];
  const fallsFirst = (name) => name !== "order" && name !== "id";

  list.querySelectorAll(".clip:not(.missing)").forEach(player.bind);

  const namesOf = (article) => article.dataset.faults.split(" ").filter(Boolean);

  function keyOf(article, name) {
    if (name === "id") return article.dataset.id;
    if (name === "faults") return namesOf(article).length;
    return article.dataset[name] === "" ? null : Number(article.dataset[name]);
  }

  function compare(one, other) {
    const [a, b] = [keyOf(one, order.value), keyOf(other, order.value)];
    const tie = Number(one.dataset.order) - Number(other.dataset.order);
    if (a === b) return tie;
    if (a === null) return 1; // without a value: last, whatever the direction
    if (b === null) return -1;
    const sign = direction.getAttribute("aria-pressed") === "true" ? -1 : 1;
    return a < b ? -sign : sign;
  }

  function sort() {
    const isFalling = direction.getAttribute("aria-pressed") === "true";
    direction.textContent = isFalling ? "\u2193 falling" : "\u2191 rising";
    list.append(...articles.sort(compare));
  }

  function show() {
    const wanted = filter.value;
    for (const article of articles) {
      const names = namesOf(article);
      const fits = !wanted || (wanted === "any" ? names.length > 0 : names.includes(wanted));
      article.hidden = !fits;
    }
    const count = articles.filter((article) => !article.hidden).length;
    document.getElementById("none").hidden = count > 0 || articles.length === 0;
    document.getElementById("count").textContent = `${count} of ${articles.length}`;
    const current = player.current();
    if (current && current.closest("article").hidden) player.select(null);
  }

  order.addEventListener("change", () => {
    direction.setAttribute("aria-pressed", String(fallsFirst(order.value)));
    sort();
  });
  direction.addEventListener("click", () => {
    const isFalling = direction.getAttribute("aria-pressed") === "true";
    direction.setAttribute("aria-pressed", String(!isFalling));
    sort();
  });
  filter.addEventListener("change", show);

  // Rows of the clips that can be heard, in the order of the page.
  const rows = () =>
    articles
      .filter((article) => !article.hidden)
      .map((article) => [...article.querySelectorAll(".clip:not(.missing)")])
      .filter((clips) => clips.length > 0);

  function move(down, right) {
    const grid = rows();
    if (grid.length === 0) return;
    const current = player.current();
    const row = grid.findIndex((clips) => clips.includes(current));
    if (row < 0) return go(grid[0][0]);
    if (right) {
      const clips = grid[row];
      return go(clips[clips.indexOf(current) + right]);
    }
    const clips = grid[row + down];
    if (!clips) return;
    go(clips.find((clip) => clip.dataset.name === current.dataset.name) || clips[0]);
  }

  function go(clip) {
    if (!clip) return;
    const wasPlaying = player.isPlaying();
    player.select(clip);
    clip.querySelector(".play").focus({ preventScroll: true });
    clip.closest("article").scrollIntoView({ block: "nearest" });
    if (wasPlaying) player.play(clip);
  }

  const MOVES = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    const isOther = target.closest("button") && !target.closest(".play");
    if (event.ctrlKey || event.altKey || event.metaKey || player.isTyping(target)) return;
    if (event.key === " " && !isOther) {
      event.preventDefault();
      const focused = target.closest(".clip");
      const grid = rows();
      const clip = focused || player.current() || (grid.length ? grid[0][0] : null);
      if (clip) player.toggle(clip);
    } else if (event.key in MOVES && !target.closest(".scroll")) {
      event.preventDefault();
      move(...MOVES[event.key]);
    }
  });

  direction.setAttribute("aria-pressed", String(fallsFirst(order.value)));
  sort();
  show();
})();
