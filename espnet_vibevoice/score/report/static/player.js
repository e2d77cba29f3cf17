"use strict";
// One recording at a time; a clip is an element with a button, audio and data-seconds.
const player = (() => {
  let clip = null; // the one that plays, or played last
  let last = 0; // where it was when we last looked, in seconds
  const listeners = []; // called with (clip, seconds heard since the last call)

  const audioOf = (element) => element.querySelector("audio");
  const secondsOf = (element) => Number(element.dataset.seconds);

  // Safari seeks in a blob, not in a data address; made at the first use only.
  function load(audio) {
    if (!audio.src.startsWith("data:")) return;
    const bytes = atob(audio.src.slice(audio.src.indexOf(",") + 1));
    const content = Uint8Array.from(bytes, (letter) => letter.charCodeAt(0));
    audio.src = URL.createObjectURL(new Blob([content], { type: "audio/mpeg" }));
  }

  function show(element, seconds) {
    const share = seconds / (secondsOf(element) || 1);
    const place = element.querySelector(".place");
    const strip = element.querySelector(".strip");
    const track = element.querySelector(".track i");
    if (place && strip) {
      const width = Number(strip.style.getPropertyValue("--share"));
      place.style.left = `${Math.min(share, 1) * width * 100}%`;
    }
    if (track) track.style.width = `${Math.min(share, 1) * 100}%`;
  }

  function follow() {
    if (!clip) return;
    const audio = audioOf(clip);
    const heard = audio.currentTime - last;
    last = audio.currentTime;
    show(clip, last);
    if (heard > 0 && heard < 1) listeners.forEach((tell) => tell(clip, heard));
    if (!audio.paused && !audio.ended) requestAnimationFrame(follow);
  }

  function select(element) {
    if (clip === element) return;
    pause();
    if (clip) clip.classList.remove("current");
    clip = element;
    if (clip) {
      clip.classList.add("current");
      last = audioOf(clip).currentTime;
    }
  }

  function pause() {
    if (clip && !audioOf(clip).paused) {
      follow();
      audioOf(clip).pause();
    }
  }

  async function play(element, from = null) {
    select(element);
    const audio = audioOf(element);
    load(audio);
    if (from !== null) {
      audio.currentTime = from;
      last = from;
    }
    try {
      await audio.play();
    } catch (error) {
      if (error.name === "AbortError") return; // paused before it began
      element.title = `The browser cannot play this: ${error.message}`;
      element.classList.remove("playing");
    }
  }

  const isPlaying = () => clip !== null && !audioOf(clip).paused && !audioOf(clip).ended;

  function toggle(element) {
    if (element === clip && isPlaying()) pause();
    else play(element);
  }

  function bind(element) {
    const audio = audioOf(element);
    const strip = element.querySelector(".strip");
    audio.controls = false;
    element.querySelector(".play").addEventListener("click", () => toggle(element));
    audio.addEventListener("playing", () => {
      element.classList.add("playing");
      last = audio.currentTime;
      requestAnimationFrame(follow);
    });
    audio.addEventListener("pause", () => element.classList.remove("playing"));
    audio.addEventListener("ended", () => element.classList.remove("playing"));
    if (!strip) return;
    strip.addEventListener("click", (event) => {
      const box = strip.getBoundingClientRect();
      const width = box.width * Number(strip.style.getPropertyValue("--share"));
      const share = Math.min((event.clientX - box.left) / width, 1);
      play(element, share >= 1 ? 0 : share * secondsOf(element));
    });
  }

  // Keys belong to the page unless somebody writes or chooses.
  const isTyping = (target) => target.closest("input, select, textarea, summary, a") !== null;

  return {
    bind, load, play, pause, select, toggle, isPlaying, isTyping,
    current: () => clip,
    onHeard: (tell) => listeners.push(tell),
  };
})();
document.documentElement.classList.add("js");
