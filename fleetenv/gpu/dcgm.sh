if has dcgmi; then
  echo "dcgm $({ timeout -k 5 @seconds@ dcgmi diag -r 1 -j </dev/null 2>&1; } | tr '\n' ' ' | head -c 1000000)"
else
  echo "dcgm absent"
fi
