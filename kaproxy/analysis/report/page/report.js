"use strict";
// Draws the charts, searches the drops, opens the drop that a link leads to. The page reads without it.
(function () {
  var specs = JSON.parse(document.getElementById("specs").textContent);
  var options = { actions: false, renderer: "svg", ast: false };
  window.drawn = Promise.all(Object.keys(specs).map(function (name) {
    return window.vegaEmbed("#chart-" + name, specs[name], options);
  })).then(function (all) {
    document.documentElement.dataset.charts = String(all.length);
  }, function (error) {
    document.documentElement.dataset.error = String(error);
    console.error(error);
  });

  var search = document.getElementById("search");
  if (search) {
    var drops = Array.prototype.map.call(document.querySelectorAll(".drop"), function (node) {
      return { node: node, text: node.textContent.toLowerCase() };
    });
    var matches = document.getElementById("matches");
    search.addEventListener("input", function () {
      var words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      var shown = 0;
      drops.forEach(function (drop) {
        var fits = words.every(function (word) { return drop.text.indexOf(word) >= 0; });
        drop.node.hidden = !fits;
        if (fits) { shown += 1; }
      });
      matches.textContent = words.length ? shown + " of " + drops.length : "";
    });
  }

  function openTarget() {
    var target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") {
      target.hidden = false;
      target.open = true;
      target.scrollIntoView();
    }
  }
  window.addEventListener("hashchange", openTarget);
  openTarget();
})();
