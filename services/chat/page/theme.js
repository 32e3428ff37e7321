// Before anything is drawn: the language and the brightness that were chosen last time in this browser.

(() => {
  const root = document.documentElement;
  if (localStorage.getItem("kiban-language") === "en") root.lang = "en";
  const theme = localStorage.getItem("kiban-theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
})();
