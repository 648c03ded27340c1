// Sets the theme before anything is painted. A classic script, since modules wait for the page.
document.documentElement.dataset.theme = localStorage.getItem("avila-theme") ?? "auto";
