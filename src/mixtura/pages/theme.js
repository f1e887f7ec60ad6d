// Light or dark: as the system says, until the reader presses the button of class "theme". Whoever draws listens to "mixtura:theme".
(() => {
  "use strict";
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const tell = () => document.dispatchEvent(new Event("mixtura:theme"));
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const kept = (value) => {
    try { // storage may be refused to a page from a file
      if (value !== undefined) window.localStorage.setItem("mixtura:theme", value);
      return window.localStorage.getItem("mixtura:theme");
    } catch { return null; }
  };
  const before = kept();
  if (before === "light" || before === "dark") root.dataset.theme = before;

  const show = (button) => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
  };
  document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("button.theme")) {
      show(button);
      button.addEventListener("click", () => {
        root.dataset.theme = isDark() ? "light" : "dark";
        kept(root.dataset.theme);
        tell();
      });
      document.addEventListener("mixtura:theme", () => show(button));
    }
  });
  system.addEventListener("change", tell);
})();
